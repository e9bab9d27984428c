-- +goose Up
-- What accounts were signed in with, so that a sign-in from a new device is noticed.
-- A mark is a keyed hash: the table tells neither device nor network, and nobody can
-- match marks of two accounts.
CREATE TABLE app.devices (
    account_id    uuid NOT NULL,
    mark          bytea NOT NULL,
    -- Of the sign-in that was the first from it, in the account's access stream.
    revision      bigint NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at  timestamptz NOT NULL DEFAULT now(),
    -- The mail that tells of it: the event that asked for it, and when it is due.
    notice        uuid,
    notice_at     timestamptz,
    PRIMARY KEY (account_id, mark)
);
CREATE INDEX ON app.devices (last_seen_at);

-- Notes the device of a sign-in, and returns when the mail is due that has to be
-- asked for because of it; NULL for none: the device is known, it is the account's
-- first, or a mail that is due anyhow will name it. The reactor calls it in the
-- transaction of its checkpoint, so that nobody else notes devices meanwhile.
-- +goose StatementBegin
CREATE FUNCTION app.note_device(account uuid, device_mark bytea, sign_in bigint, event uuid, notice_interval interval, kept integer)
RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    devices integer;
    last    app.devices;
    due     timestamptz;
BEGIN
    UPDATE app.devices SET last_seen_at = now() WHERE account_id = account AND mark = device_mark;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    SELECT count(*) INTO devices FROM app.devices WHERE account_id = account;
    SELECT * INTO last FROM app.devices WHERE account_id = account AND notice_at IS NOT NULL ORDER BY notice_at DESC LIMIT 1;
    IF devices = 0 THEN
        INSERT INTO app.devices (account_id, mark, revision) VALUES (account, device_mark, sign_in);
        RETURN NULL;
    END IF;
    -- Those that a mail has told of lately stay: who knows the password must not be
    -- able to crowd them out before the mail is sent.
    IF devices >= kept THEN
        DELETE FROM app.devices WHERE account_id = account AND mark = (
            SELECT mark FROM app.devices WHERE account_id = account AND (notice_at IS NULL OR notice_at < now() - interval '1 day')
            ORDER BY last_seen_at, revision LIMIT 1);
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
    END IF;
    IF last.notice_at > now() THEN
        INSERT INTO app.devices (account_id, mark, revision, notice, notice_at)
        VALUES (account, device_mark, sign_in, last.notice, last.notice_at);
    ELSE
        due := greatest(now(), coalesce(last.notice_at + notice_interval, now()));
        INSERT INTO app.devices (account_id, mark, revision, notice, notice_at) VALUES (account, device_mark, sign_in, event, due);
    END IF;
    RETURN due;
END $$;
-- +goose StatementEnd
