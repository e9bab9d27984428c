-- +goose Up

-- Reserves one try under each key, in order, until one is used up: then later keys
-- are not charged, so that a single source cannot use up what all share. Returns
-- the seconds to wait, 0 when the try may be made. The order is the same for all
-- callers, which keeps them from waiting for each other in a circle. A counter
-- need not survive a crash of the server, so nobody waits for the disk.
-- +goose StatementBegin
CREATE FUNCTION app.reserve_tries(try_keys text[], try_limits integer[], try_windows interval[]) RETURNS integer
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    began timestamptz;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    FOR i IN 1 .. coalesce(cardinality(try_keys), 0) LOOP
        IF NOT app.reserve_try(try_keys[i], try_limits[i], try_windows[i]) THEN
            SELECT window_start INTO began FROM app.throttles WHERE key = try_keys[i];
            RETURN greatest(1, ceil(extract(epoch FROM began + try_windows[i] - now())));
        END IF;
    END LOOP;
    RETURN 0;
END $$;
-- +goose StatementEnd
