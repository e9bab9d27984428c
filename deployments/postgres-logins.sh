# Makes the logins by which the roles of Daybook connect, with their passwords from the
# secrets. Postgres's image runs it when it makes the database; later:
#
#   docker compose exec postgres bash /docker-entrypoint-initdb.d/logins.sh
#
# What each may do is granted by daybook migrate.
set -eu
for role in api projector worker; do
	psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" \
		--set=role="daybook_$role" --set=password="$(cat "${SECRETS:-/run/secrets}/database_password_$role")" <<-'SQL'
		SELECT format('CREATE ROLE %I', :'role') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
		ALTER ROLE :"role" LOGIN PASSWORD :'password';
	SQL
done
