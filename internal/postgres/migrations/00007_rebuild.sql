-- +goose Up
-- A view that is being built beside the one that is shown, and the one that was
-- shown before. Each view is one table of its own name.
CREATE SCHEMA readmodel_next;
CREATE SCHEMA readmodel_previous;
