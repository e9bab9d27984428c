-- +goose Up
-- When the window began in which a try was just reserved: a try is given back to its
-- own window only. It is volatile, so that it sees what the statement it stands in has
-- done before; until that ends nobody else changes the row.
-- +goose StatementBegin
CREATE FUNCTION app.window_of(try_key text) RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    SELECT window_start FROM app.throttles WHERE key = try_key
$$;
-- +goose StatementEnd
