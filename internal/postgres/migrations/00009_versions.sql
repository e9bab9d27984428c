-- +goose Up
-- An owner's epoch is never given twice, also where a checkpoint is removed and made
-- again: versions of views come and go, and an owner of a former one may live on.
CREATE SEQUENCE app.epochs;
SELECT setval('app.epochs', greatest(1, (SELECT max(epoch) FROM app.checkpoints)));

-- Where a table is while two versions of a view change places.
CREATE SCHEMA readmodel_swap;
