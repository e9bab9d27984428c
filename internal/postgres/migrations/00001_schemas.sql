-- +goose Up
CREATE SCHEMA vault;
CREATE SCHEMA app;
CREATE SCHEMA readmodel;

-- One data key per person, wrapped by a master key that is not in the database.
CREATE TABLE vault.data_keys (
    subject       uuid PRIMARY KEY,
    version       integer NOT NULL DEFAULT 1,
    master_key_id text NOT NULL,
    wrapped       bytea NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now()
);

-- The fence: never deleted, so that an erased person never gets a key again.
CREATE TABLE vault.erased_subjects (
    subject   uuid PRIMARY KEY,
    erased_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE vault.credentials (
    credential_id     uuid PRIMARY KEY,
    account_id        uuid NOT NULL,
    expected_revision bigint NOT NULL,
    phc               text NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON vault.credentials (account_id);

-- The event store this database belongs to.
CREATE TABLE app.store (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    store_id  uuid NOT NULL,
    namespace text NOT NULL
);

CREATE TABLE app.account_guards (
    account_id          uuid PRIMARY KEY,
    credential_revision bigint NOT NULL DEFAULT -1,
    status              text NOT NULL DEFAULT 'active',
    -- Of the fold that last settled the row: an older fold settles nothing.
    revision            bigint NOT NULL DEFAULT -1,
    -- Set before the append of a change that ends sessions: until it is
    -- cleared, checks fold the account's stream.
    pending_revision    bigint
);

CREATE TABLE app.sessions (
    token_hash          bytea PRIMARY KEY,
    session_id          uuid NOT NULL UNIQUE,
    account_id          uuid NOT NULL,
    credential_revision bigint NOT NULL,
    account_revision    bigint NOT NULL,
    user_agent          text NOT NULL,
    created_at          timestamptz NOT NULL DEFAULT now(),
    last_seen_at        timestamptz NOT NULL DEFAULT now(),
    expires_at          timestamptz NOT NULL
);
CREATE INDEX ON app.sessions (account_id);
CREATE INDEX ON app.sessions (expires_at);

CREATE TABLE app.throttles (
    key          text PRIMARY KEY,
    window_start timestamptz NOT NULL,
    tries        integer NOT NULL
);
CREATE INDEX ON app.throttles (window_start);

-- Reserves one try before it is made, in one atomic statement: parallel tries
-- never exceed the limit together.
-- +goose StatementBegin
CREATE FUNCTION app.reserve_try(try_key text, try_limit integer, try_window interval) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
    INSERT INTO app.throttles AS t (key, window_start, tries) VALUES (try_key, now(), 1)
    ON CONFLICT (key) DO UPDATE SET
        tries        = CASE WHEN t.window_start <= now() - try_window THEN 1 ELSE least(t.tries, try_limit) + 1 END,
        window_start = CASE WHEN t.window_start <= now() - try_window THEN now() ELSE t.window_start END
    RETURNING tries <= try_limit
$$;
-- +goose StatementEnd

CREATE TABLE app.idempotency (
    command_id  uuid PRIMARY KEY,
    fingerprint bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON app.idempotency (created_at);

CREATE TABLE app.checkpoints (
    name       text PRIMARY KEY,
    store_id   uuid NOT NULL,
    position   bigint NOT NULL,
    epoch      bigint NOT NULL DEFAULT 0,
    events     bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Moves a checkpoint within the transaction of what was done up to it. It fails
-- when another owner has taken over or the position is not the expected one, so
-- that a consumer that was paused cannot write.
-- +goose StatementBegin
CREATE FUNCTION app.advance_checkpoint(checkpoint text, owner_epoch bigint, from_position bigint, to_position bigint, event_count bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE app.checkpoints SET position = to_position, events = events + event_count, updated_at = now()
    WHERE name = checkpoint AND epoch = owner_epoch AND position = from_position;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'checkpoint % is not at % in epoch %', checkpoint, from_position, owner_epoch USING ERRCODE = 'DB001';
    END IF;
END $$;
-- +goose StatementEnd

-- The revision after a run of events, or an alarm when events are missing
-- between the row and the run.
-- +goose StatementBegin
CREATE FUNCTION app.next_revision(subject uuid, current bigint, first_revision bigint, last_revision bigint) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF first_revision > current + 1 THEN
        RAISE EXCEPTION 'hole in % between % and %', subject, current, first_revision USING ERRCODE = 'DB002';
    END IF;
    RETURN greatest(current, last_revision);
END $$;
-- +goose StatementEnd

CREATE TABLE readmodel.accounts (
    id           uuid PRIMARY KEY,
    revision     bigint NOT NULL,
    version      bigint NOT NULL,
    status       text NOT NULL,
    staff        boolean NOT NULL,
    email        text COLLATE "C" NOT NULL,
    first_name   text NOT NULL,
    last_name    text NOT NULL,
    phone_number text NOT NULL,
    github_link  text NOT NULL,
    birth_date   text NOT NULL,
    thumbnail    text NOT NULL,
    joined_at    timestamptz NOT NULL,
    -- Names of each activation attempt: the one whose link is used decides.
    attempts     jsonb NOT NULL
);
