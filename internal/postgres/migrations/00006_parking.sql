-- +goose Up
-- Accounts that a view cannot show, because one of their events cannot be read or
-- be put into it. Positions and a class of error, never what the event holds: a
-- retry reads it again, with the code of then.
CREATE TABLE app.parked_accounts (
    projection     text NOT NULL, -- name of its checkpoint
    account_id     uuid NOT NULL,
    position       bigint NOT NULL, -- of the first event that is not in the view
    read_after     bigint NOT NULL, -- position of an event before it, or 0
    stream         text NOT NULL, -- of that event
    revision       bigint NOT NULL, -- of that event
    last_seen      bigint NOT NULL, -- position of the last one passed over
    reason         text NOT NULL,
    attempts       integer NOT NULL DEFAULT 1,
    parked_at      timestamptz NOT NULL DEFAULT now(),
    tried_at       timestamptz NOT NULL DEFAULT now(),
    -- Given up by an operator: passed over for good, and no alarm any more.
    discarded_at   timestamptz,
    discard_reason text,
    PRIMARY KEY (projection, account_id)
);

-- Notes events of parked accounts within the transaction that passes them over.
-- It fails when one of the accounts is not parked any more: its events must be
-- applied then.
-- +goose StatementBegin
CREATE FUNCTION app.pass_over(of_projection text, accounts uuid[], positions bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    passed integer;
BEGIN
    UPDATE app.parked_accounts p SET last_seen = greatest(p.last_seen, c.position)
    FROM unnest(accounts, positions) AS c (account_id, position)
    WHERE p.projection = of_projection AND p.account_id = c.account_id;
    GET DIAGNOSTICS passed = ROW_COUNT;
    IF passed <> cardinality(accounts) THEN
        RAISE EXCEPTION 'an account of % is not parked any more', of_projection USING ERRCODE = 'DB003';
    END IF;
END $$;
-- +goose StatementEnd

-- Ends the parking of an account within the transaction that applies its events up
-- to one. It fails when others have been passed over since.
-- +goose StatementBegin
CREATE FUNCTION app.unpark(of_projection text, account uuid, up_to bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM app.parked_accounts WHERE projection = of_projection AND account_id = account AND last_seen = up_to;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is not parked by % up to %', account, of_projection, up_to USING ERRCODE = 'DB003';
    END IF;
END $$;
-- +goose StatementEnd
