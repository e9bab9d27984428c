-- +goose Up
-- A person's history shows the address that a change replaced. Until now no address
-- could change, so that the present one is the one registered with.
UPDATE readmodel.activity a SET fields = a.fields || jsonb_build_object('email', v.email)
FROM readmodel.accounts v
WHERE a.type = 'AccountRegistered' AND v.id = a.account_id AND a.fields IS NOT NULL AND NOT a.erased AND NOT v.erased;

COMMENT ON COLUMN analytics.resets_per_day.closed IS 'Of requested: dead by another change of the password, a change of the address, or because the account was shut.';
