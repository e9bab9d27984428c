-- +goose Up
ALTER TABLE readmodel.registrations ADD COLUMN erased_at timestamptz;

CREATE OR REPLACE VIEW analytics.sign_ups_per_day AS
SELECT (registered_at AT TIME ZONE 'UTC')::date AS day,
    count(*) AS sign_ups,
    count(activated_at) AS activated,
    count(expired_at) AS expired,
    count(*) FILTER (WHERE activated_at IS NULL AND expired_at IS NULL AND erased_at IS NULL) AS pending,
    sum(attempts)::bigint AS attempts,
    sum(mail_requests)::bigint AS mails_requested,
    count(erased_at) AS erased
FROM readmodel.registrations WHERE registered_at IS NOT NULL GROUP BY 1;
COMMENT ON COLUMN analytics.sign_ups_per_day.erased IS 'Of these: erased, at any time since, whatever they were before.';

-- Whether the person was erased. Until the end of the transaction nobody can be in
-- the middle of erasing the person: what is written meanwhile, erasing will find.
-- +goose StatementBegin
CREATE FUNCTION vault.is_erased(person uuid) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(person::text, 14));
    RETURN EXISTS (SELECT FROM vault.erased_subjects WHERE subject = person);
END $$;
-- +goose StatementEnd

-- Neither key nor password of an erased person is ever written again, whatever a
-- command in flight, another process or a restored copy of a table brings.
-- +goose StatementBegin
CREATE FUNCTION vault.leave_out_erased_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF vault.is_erased(NEW.subject) THEN RETURN NULL; END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER leave_out_erased BEFORE INSERT ON vault.data_keys FOR EACH ROW EXECUTE FUNCTION vault.leave_out_erased_key();

-- +goose StatementBegin
CREATE FUNCTION vault.leave_out_erased_credential() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF vault.is_erased(NEW.account_id) THEN RETURN NULL; END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER leave_out_erased BEFORE INSERT ON vault.credentials FOR EACH ROW EXECUTE FUNCTION vault.leave_out_erased_credential();

-- Where the one mail goes that tells a person of the erasure. Sealed with a master
-- key, and gone once the mail is sent or its time is over.
CREATE TABLE vault.farewells (
    subject       uuid PRIMARY KEY,
    master_key_id text NOT NULL,
    box           bytea NOT NULL,
    expires_at    timestamptz NOT NULL
);
CREATE INDEX ON vault.farewells (expires_at);

-- Puts up the fence and destroys what it guards, at once and repeatably. A farewell
-- is kept with the first time only: nobody is told twice.
-- +goose StatementBegin
CREATE FUNCTION vault.erase(person uuid, farewell_key text, farewell bytea, farewell_expires timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(person::text, 14));
    INSERT INTO vault.erased_subjects (subject) VALUES (person) ON CONFLICT DO NOTHING;
    IF FOUND AND farewell IS NOT NULL AND farewell_expires > now() THEN
        INSERT INTO vault.farewells (subject, master_key_id, box, expires_at)
        VALUES (person, farewell_key, farewell, farewell_expires) ON CONFLICT DO NOTHING;
    END IF;
    DELETE FROM vault.data_keys WHERE subject = person;
    DELETE FROM vault.credentials WHERE account_id = person;
END $$;
-- +goose StatementEnd

-- Up to where erasures of the event store were carried out in this vault. It lies
-- here so that it goes back with the keys when an older copy is restored.
CREATE TABLE vault.erasures_seen (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    store_id  uuid NOT NULL,
    position  bigint NOT NULL,
    fences    bigint NOT NULL -- how many there were then: there are never fewer
);

-- As before, with the mails that came since.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION analytics.count_mails() RETURNS TABLE (day date, mail text, state text, outcome text, mails bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT (j.created_at AT TIME ZONE 'UTC')::date,
        CASE WHEN j.kind = 'email_already_registered' THEN 'already_registered'
            WHEN j.args ->> 'mail' IN ('activation', 'reset', 'password_changed', 'new_device', 'invitation', 'erased',
                'new_address', 'address_change_requested', 'address_changed') THEN j.args ->> 'mail'
            ELSE 'other' END,
        j.state::text,
        CASE WHEN j.metadata -> 'output' ->> 'outcome' IN ('sent', 'skipped', 'failed') THEN j.metadata -> 'output' ->> 'outcome' END,
        count(*)
    FROM app.river_job j WHERE j.queue = 'email' GROUP BY 1, 2, 3, 4;
END $$;
-- +goose StatementEnd
COMMENT ON COLUMN analytics.mails_per_day.mail IS 'activation, reset, password_changed, new_device, invitation, erased, new_address, address_change_requested, address_changed, already_registered or other.';
