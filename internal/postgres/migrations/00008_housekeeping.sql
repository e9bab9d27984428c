-- +goose Up
-- What housekeeping looks for is few among many.
CREATE INDEX ON app.account_guards (account_id) WHERE pending_revision IS NOT NULL;
CREATE INDEX ON readmodel.registrations (account_id)
    WHERE activated_at IS NULL AND expired_at IS NULL AND abandoned_at IS NULL;
CREATE INDEX ON readmodel.activity (at) WHERE stream = 'access';
CREATE INDEX ON readmodel.activity ((fields ->> 'thumbnail')) WHERE fields ? 'thumbnail';
CREATE INDEX ON readmodel.accounts (thumbnail) WHERE thumbnail <> '';

-- When the account's stream was seen to name the credential as the one that counts.
-- It is looked at again only with a later credential of the same account.
ALTER TABLE vault.credentials ADD COLUMN named_at timestamptz;
CREATE INDEX ON vault.credentials (account_id) WHERE named_at IS NULL;

-- The window before the present one, until it is noted: who tries on without a
-- pause begins a new window before housekeeping has seen the old one.
ALTER TABLE app.throttles ADD COLUMN ended_start timestamptz, ADD COLUMN ended_tries integer;

-- As before, but a window that gives way to the next one is kept.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION app.reserve_try(try_key text, try_limit integer, try_window interval) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
    INSERT INTO app.throttles AS t (key, window_start, tries) VALUES (try_key, now(), 1)
    ON CONFLICT (key) DO UPDATE SET
        tries        = CASE WHEN t.window_start <= now() - try_window THEN 1 ELSE least(t.tries, try_limit) + 1 END,
        window_start = CASE WHEN t.window_start <= now() - try_window THEN now() ELSE t.window_start END,
        ended_tries  = CASE WHEN t.window_start <= now() - try_window THEN t.tries ELSE t.ended_tries END,
        ended_start  = CASE WHEN t.window_start <= now() - try_window THEN t.window_start ELSE t.ended_start END
    RETURNING tries <= try_limit
$$;
-- +goose StatementEnd
