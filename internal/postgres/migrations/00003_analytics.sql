-- +goose Up
-- Never registered is not a time, and erased is not empty.
ALTER TABLE readmodel.accounts ALTER COLUMN joined_at DROP NOT NULL;
ALTER TABLE readmodel.accounts ADD COLUMN erased boolean NOT NULL DEFAULT false;

-- A person's history: one row per event of the account's and the access stream.
CREATE TABLE readmodel.activity (
    -- A repeated append without an expected revision may store an event twice.
    event_id       uuid PRIMARY KEY,
    account_id     uuid NOT NULL,
    stream         text NOT NULL, -- account or access
    revision       bigint NOT NULL,
    position       bigint NOT NULL,
    at             timestamptz NOT NULL,
    type           text NOT NULL,
    actor          text NOT NULL, -- self, anonymous, operator, system
    session        text NOT NULL, -- public id, or empty
    client_address text NOT NULL,
    user_agent     text NOT NULL,
    cause          text NOT NULL,
    tries          integer NOT NULL, -- of refused sign-ins
    -- What the event set profile fields to; an old value is in an earlier row.
    fields         jsonb,
    -- Of an activation attempt, until one of them is used.
    attempt        uuid,
    names          jsonb,
    erased         boolean NOT NULL
);
CREATE UNIQUE INDEX ON readmodel.activity (account_id, stream, revision);

CREATE TABLE readmodel.resets (
    reset_id           uuid PRIMARY KEY,
    account_id         uuid NOT NULL,
    requested_revision bigint NOT NULL,
    mail_revision      bigint NOT NULL, -- of the last request counted
    mail_requests      integer NOT NULL,
    requested_at       timestamptz NOT NULL,
    expires_at         timestamptz NOT NULL,
    link_opened_at     timestamptz,
    -- At most one of these; none when it is open or has expired.
    changed_at         timestamptz,
    superseded_at      timestamptz, -- by a later reset
    closed_at          timestamptz, -- by another change of the password, or the account shut
    CHECK (num_nonnulls(changed_at, superseded_at, closed_at) <= 1)
);
CREATE INDEX ON readmodel.resets (account_id);

CREATE TABLE readmodel.registrations (
    account_id    uuid PRIMARY KEY,
    revision      bigint NOT NULL,
    attempt_ids   uuid[] NOT NULL,
    attempts      integer NOT NULL GENERATED ALWAYS AS (cardinality(attempt_ids)) STORED,
    mail_requests integer NOT NULL,
    registered_at timestamptz,
    activated_at  timestamptz,
    expired_at    timestamptz,
    abandoned_at  timestamptz
);

-- What people did while signed in: that, when and who, not with which values.
CREATE TABLE readmodel.presence (
    event_id   uuid PRIMARY KEY,
    account_id uuid NOT NULL,
    at         timestamptz NOT NULL,
    type       text NOT NULL
);
CREATE INDEX ON readmodel.presence (at);

CREATE SCHEMA analytics;
COMMENT ON SCHEMA analytics IS 'Figures without personal data, for dashboards and reports. Days are UTC. Columns are added, never changed; see docs/analytics.md.';

CREATE VIEW analytics.sign_ups_per_day AS
SELECT (registered_at AT TIME ZONE 'UTC')::date AS day,
    count(*) AS sign_ups,
    count(activated_at) AS activated,
    count(expired_at) AS expired,
    count(*) FILTER (WHERE activated_at IS NULL AND expired_at IS NULL) AS pending,
    sum(attempts)::bigint AS attempts,
    sum(mail_requests)::bigint AS mails_requested
FROM readmodel.registrations WHERE registered_at IS NOT NULL GROUP BY 1;
COMMENT ON VIEW analytics.sign_ups_per_day IS 'Registrations by the day they were made, with what has become of them since.';
COMMENT ON COLUMN analytics.sign_ups_per_day.day IS 'Day of the registration (UTC).';
COMMENT ON COLUMN analytics.sign_ups_per_day.sign_ups IS 'Accounts registered on the day.';
COMMENT ON COLUMN analytics.sign_ups_per_day.activated IS 'Of these: mailbox proved, at any time since.';
COMMENT ON COLUMN analytics.sign_ups_per_day.expired IS 'Of these: never activated and given up.';
COMMENT ON COLUMN analytics.sign_ups_per_day.pending IS 'Of these: still waiting for activation.';
COMMENT ON COLUMN analytics.sign_ups_per_day.attempts IS 'Activation links made for these accounts, each with a life of its own.';
COMMENT ON COLUMN analytics.sign_ups_per_day.mails_requested IS 'Activation mails asked for by these accounts; a link may be mailed more than once.';

CREATE VIEW analytics.activations_per_day AS
SELECT (activated_at AT TIME ZONE 'UTC')::date AS day,
    count(*) AS activations,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM activated_at - registered_at)::float8) AS median_seconds_to_activate,
    percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(epoch FROM activated_at - registered_at)::float8) AS p90_seconds_to_activate
FROM readmodel.registrations WHERE activated_at IS NOT NULL GROUP BY 1;
COMMENT ON VIEW analytics.activations_per_day IS 'Activations by the day on which they happened.';
COMMENT ON COLUMN analytics.activations_per_day.day IS 'Day of the activation (UTC).';
COMMENT ON COLUMN analytics.activations_per_day.activations IS 'Accounts activated on the day.';
COMMENT ON COLUMN analytics.activations_per_day.median_seconds_to_activate IS 'Median time from registration to activation, in seconds.';
COMMENT ON COLUMN analytics.activations_per_day.p90_seconds_to_activate IS 'Nine of ten took no longer than this from registration to activation, in seconds.';

CREATE VIEW analytics.sign_ins_per_day AS
SELECT (at AT TIME ZONE 'UTC')::date AS day, count(*) AS sign_ins, count(DISTINCT account_id) AS accounts
FROM readmodel.presence WHERE type = 'SignedIn' GROUP BY 1;
COMMENT ON VIEW analytics.sign_ins_per_day IS 'Sessions opened per day. Sign-ins are kept for 400 days: building the read model again forgets older ones.';
COMMENT ON COLUMN analytics.sign_ins_per_day.day IS 'Day of the sign-in (UTC).';
COMMENT ON COLUMN analytics.sign_ins_per_day.sign_ins IS 'Sessions opened on the day.';
COMMENT ON COLUMN analytics.sign_ins_per_day.accounts IS 'Different accounts among them.';

CREATE VIEW analytics.active_accounts_per_day AS
SELECT (at AT TIME ZONE 'UTC')::date AS day, count(DISTINCT account_id) AS accounts FROM readmodel.presence GROUP BY 1;
COMMENT ON VIEW analytics.active_accounts_per_day IS 'Accounts whose person signed in or out or changed something while signed in; reading alone leaves no trace.';
COMMENT ON COLUMN analytics.active_accounts_per_day.day IS 'Day of the activity (UTC).';
COMMENT ON COLUMN analytics.active_accounts_per_day.accounts IS 'Different accounts active on the day.';

CREATE VIEW analytics.active_accounts_per_week AS
SELECT date_trunc('week', at AT TIME ZONE 'UTC')::date AS week, count(DISTINCT account_id) AS accounts FROM readmodel.presence GROUP BY 1;
COMMENT ON VIEW analytics.active_accounts_per_week IS 'As active_accounts_per_day, by ISO 8601 week.';
COMMENT ON COLUMN analytics.active_accounts_per_week.week IS 'Monday of the week (UTC).';
COMMENT ON COLUMN analytics.active_accounts_per_week.accounts IS 'Different accounts active in the week.';

-- The funnel. Noting that a link was opened is best effort: a changed password
-- proves it too.
CREATE VIEW analytics.resets_per_day AS
SELECT (requested_at AT TIME ZONE 'UTC')::date AS day,
    count(*) AS requested,
    sum(mail_requests)::bigint AS mails_requested,
    count(coalesce(link_opened_at, changed_at)) AS link_opened,
    count(changed_at) AS changed,
    count(superseded_at) AS superseded,
    count(closed_at) AS closed,
    count(*) FILTER (WHERE num_nonnulls(changed_at, superseded_at, closed_at) = 0 AND expires_at <= now()) AS expired,
    count(*) FILTER (WHERE num_nonnulls(changed_at, superseded_at, closed_at) = 0 AND expires_at > now()) AS open,
    count(*) FILTER (WHERE num_nonnulls(link_opened_at, changed_at) = 0
        AND (expires_at <= now() OR num_nonnulls(superseded_at, closed_at) > 0)) AS dropped_before_link,
    count(*) FILTER (WHERE link_opened_at IS NOT NULL AND changed_at IS NULL
        AND (expires_at <= now() OR num_nonnulls(superseded_at, closed_at) > 0)) AS dropped_after_link,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM link_opened_at - requested_at)::float8) AS median_seconds_to_link,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM changed_at - requested_at)::float8) AS median_seconds_to_change
FROM readmodel.resets GROUP BY 1;
COMMENT ON VIEW analytics.resets_per_day IS 'The password reset funnel, by the day on which the reset was requested: requested, mailed, link opened, changed. requested = changed + superseded + closed + expired + open.';
COMMENT ON COLUMN analytics.resets_per_day.day IS 'Day of the first request (UTC).';
COMMENT ON COLUMN analytics.resets_per_day.requested IS 'Resets requested; asking again while one is open mails the same link and is no new reset.';
COMMENT ON COLUMN analytics.resets_per_day.mails_requested IS 'Mails asked for by these resets. Whether they were delivered: analytics.mails_per_day.';
COMMENT ON COLUMN analytics.resets_per_day.link_opened IS 'Of requested: the mailed link was opened, by a person or a mail scanner.';
COMMENT ON COLUMN analytics.resets_per_day.changed IS 'Of requested: the password was changed with it.';
COMMENT ON COLUMN analytics.resets_per_day.superseded IS 'Of requested: a later reset took its place before it ended.';
COMMENT ON COLUMN analytics.resets_per_day.closed IS 'Of requested: dead by another change of the password, or because the account was shut.';
COMMENT ON COLUMN analytics.resets_per_day.expired IS 'Of requested: not used in time.';
COMMENT ON COLUMN analytics.resets_per_day.open IS 'Of requested: still usable now.';
COMMENT ON COLUMN analytics.resets_per_day.dropped_before_link IS 'Drop-off: over, and the link never opened.';
COMMENT ON COLUMN analytics.resets_per_day.dropped_after_link IS 'Drop-off: over, the link opened, the password not changed.';
COMMENT ON COLUMN analytics.resets_per_day.median_seconds_to_link IS 'Median time from the first request to the opened link, in seconds.';
COMMENT ON COLUMN analytics.resets_per_day.median_seconds_to_change IS 'Median time from the first request to the changed password, in seconds.';

-- A function, because the queue brings its own migrations and a view over its
-- table would stand in their way. It runs with its owner's rights and gives
-- away counts of known words only, whatever a job contains.
-- +goose StatementBegin
CREATE FUNCTION analytics.count_mails() RETURNS TABLE (day date, mail text, state text, outcome text, mails bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT (j.created_at AT TIME ZONE 'UTC')::date,
        CASE WHEN j.kind = 'email_already_registered' THEN 'already_registered'
            WHEN j.args ->> 'mail' IN ('activation', 'reset', 'password_changed') THEN j.args ->> 'mail'
            ELSE 'other' END,
        j.state::text,
        CASE WHEN j.metadata -> 'output' ->> 'outcome' IN ('sent', 'skipped', 'failed') THEN j.metadata -> 'output' ->> 'outcome' END,
        count(*)
    FROM app.river_job j WHERE j.queue = 'email' GROUP BY 1, 2, 3, 4;
END $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION analytics.count_mails() FROM PUBLIC;

CREATE VIEW analytics.mails_per_day AS SELECT day, mail, state, outcome, mails FROM analytics.count_mails();
COMMENT ON VIEW analytics.mails_per_day IS 'Mails by the day on which they were put into the queue, for as long as the queue keeps its jobs.';
COMMENT ON COLUMN analytics.mails_per_day.day IS 'Day on which the mail was put into the queue (UTC).';
COMMENT ON COLUMN analytics.mails_per_day.mail IS 'activation, reset, password_changed, already_registered or other.';
COMMENT ON COLUMN analytics.mails_per_day.state IS 'State of the job: available, scheduled, running, retryable, completed, cancelled, discarded.';
COMMENT ON COLUMN analytics.mails_per_day.outcome IS 'sent, skipped (not true any more when its turn came), failed (refused for good); null while undecided.';
COMMENT ON COLUMN analytics.mails_per_day.mails IS 'How many.';

-- Roles belong to the whole server: another database may have made it, or be
-- making it right now, and the owner of this one may not be allowed to. Then an
-- administrator makes it and grants as docs/analytics.md says.
-- +goose StatementBegin
DO $$
BEGIN
    CREATE ROLE daybook_analytics NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN
    RAISE NOTICE 'role daybook_analytics was not created: %', SQLERRM;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'daybook_analytics') THEN
        GRANT USAGE ON SCHEMA analytics TO daybook_analytics;
        GRANT SELECT ON ALL TABLES IN SCHEMA analytics TO daybook_analytics;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA analytics TO daybook_analytics;
        ALTER DEFAULT PRIVILEGES IN SCHEMA analytics GRANT SELECT ON TABLES TO daybook_analytics;
    END IF;
END $$;
-- +goose StatementEnd
