-- +goose Up
-- Which keys each running process knows and which of them it uses as current, as
-- kind:id. A process says so every second; a row that has not been renewed for a while
-- is of a process that is gone. A new key becomes current only when all know it.
CREATE TABLE app.key_holders (
    process_id uuid PRIMARY KEY,
    known      text[] NOT NULL,
    current    text[] NOT NULL,
    seen_at    timestamptz NOT NULL DEFAULT now()
);
