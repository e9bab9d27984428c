-- What each role of the program may do. It is run at the end of each migration, as the
-- owner of the schemas, in one transaction: what is not granted here is taken away, also
-- of tables that came since. docs/security.md explains it, roles_test.go tries it.

-- Nobody but the owner makes objects, nowhere (PostgreSQL before 15 lets all make some
-- in public).
DO $$ BEGIN
    EXECUTE 'REVOKE CREATE ON SCHEMA public FROM PUBLIC';
EXCEPTION WHEN insufficient_privilege OR undefined_object OR invalid_schema_name THEN NULL; -- it is another's
END $$;

REVOKE ALL ON ALL TABLES IN SCHEMA app, vault, readmodel, readmodel_next, readmodel_previous, readmodel_swap
    FROM daybook_api, daybook_projector, daybook_worker, daybook_vault;
GRANT USAGE ON SCHEMA app, vault, readmodel, readmodel_previous TO daybook_api, daybook_projector, daybook_worker;
GRANT USAGE ON SCHEMA readmodel_next, readmodel_swap TO daybook_projector, daybook_worker;

-- What all of them need: who the store is, who works on what, which keys are known.
GRANT SELECT, INSERT, UPDATE ON app.store TO daybook_api, daybook_projector, daybook_worker;
GRANT SELECT ON app.checkpoints, app.parked_accounts TO daybook_api, daybook_projector, daybook_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON app.key_holders TO daybook_api, daybook_projector, daybook_worker;
GRANT SELECT ON vault.data_keys, vault.erased_subjects TO daybook_api, daybook_projector, daybook_worker;

-- The API: sessions, guards, throttles, and whatever else app keeps of requests; mail is
-- put into the queue (its INSERT … ON CONFLICT … RETURNING also needs SELECT and one
-- column), not taken out. It makes data keys and writes password hashes; it deletes
-- neither. It reads views.
DO $$
DECLARE
    own text;
BEGIN
    FOR own IN SELECT tablename FROM pg_tables WHERE schemaname = 'app' AND NOT starts_with(tablename, 'river_')
        AND tablename NOT IN ('store', 'checkpoints', 'parked_accounts', 'key_holders', 'api_tokens') LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON app.%I TO daybook_api', own);
    END LOOP;
END $$;
GRANT SELECT, UPDATE (last_used_at) ON app.api_tokens TO daybook_api;
GRANT SELECT, INSERT, UPDATE (kind) ON app.river_job TO daybook_api;
GRANT INSERT, UPDATE (subject) ON vault.data_keys TO daybook_api;
GRANT SELECT, INSERT, UPDATE ON vault.credentials TO daybook_api;
GRANT SELECT ON ALL TABLES IN SCHEMA readmodel TO daybook_api;

-- The projectors: views and their checkpoints.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA readmodel, readmodel_next, readmodel_previous TO daybook_projector;
GRANT INSERT, UPDATE ON app.checkpoints TO daybook_projector;
GRANT INSERT, UPDATE, DELETE ON app.parked_accounts TO daybook_projector;

-- The workers: the queue, what housekeeping throws away, and no token of a machine.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA app TO daybook_worker;
REVOKE ALL ON app.api_tokens FROM daybook_worker;
GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA readmodel, readmodel_previous TO daybook_worker;
GRANT SELECT, UPDATE (named_at), DELETE ON vault.credentials TO daybook_worker;

-- Erasing: the function puts up the fence before it destroys what lies behind it, with
-- the owner's rights, so that nobody needs the right to delete keys. A projector may see
-- that something is left behind a fence, and then does not start; it destroys nothing.
ALTER FUNCTION vault.erase(uuid, text, bytea, timestamptz) SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
REVOKE EXECUTE ON FUNCTION vault.erase(uuid, text, bytea, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vault.erase(uuid, text, bytea, timestamptz) TO daybook_api, daybook_worker, daybook_vault;
GRANT SELECT (account_id) ON vault.credentials TO daybook_projector;
GRANT SELECT ON vault.erasures_seen TO daybook_api, daybook_projector, daybook_worker;
GRANT INSERT, UPDATE ON vault.erasures_seen TO daybook_worker;
GRANT SELECT, DELETE ON vault.farewells TO daybook_worker;

-- A connection of its own for keys and passwords (DAYBOOK_VAULT_URL): nothing else.
GRANT USAGE ON SCHEMA vault TO daybook_vault;
GRANT SELECT, INSERT, UPDATE ON vault.data_keys TO daybook_vault;
GRANT SELECT ON vault.erased_subjects TO daybook_vault;
GRANT SELECT, INSERT, UPDATE, DELETE ON vault.credentials, vault.farewells TO daybook_vault;
GRANT SELECT, INSERT, UPDATE ON vault.erasures_seen TO daybook_vault;

GRANT USAGE ON ALL SEQUENCES IN SCHEMA app TO daybook_api, daybook_projector, daybook_worker;

-- A view that is built anew has a table of its own, which later takes the shown one's
-- place.
ALTER DEFAULT PRIVILEGES IN SCHEMA readmodel, readmodel_next, readmodel_previous, readmodel_swap
    GRANT SELECT ON TABLES TO daybook_api;
ALTER DEFAULT PRIVILEGES IN SCHEMA readmodel, readmodel_next, readmodel_previous, readmodel_swap
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO daybook_projector;
ALTER DEFAULT PRIVILEGES IN SCHEMA readmodel, readmodel_next, readmodel_previous, readmodel_swap
    GRANT SELECT, DELETE ON TABLES TO daybook_worker;
