-- +goose Up
-- Bearer tokens of machines: only a hash of each, and what it may do. Rows stay
-- after revocation and expiry, so that an id of the log can be looked up.
CREATE TABLE app.api_tokens (
    token_id     uuid PRIMARY KEY,
    token_hash   bytea NOT NULL,
    name         text NOT NULL,
    scopes       text[] NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    revoked_at   timestamptz,
    last_used_at timestamptz
);
