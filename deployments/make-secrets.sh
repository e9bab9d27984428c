#!/bin/sh
# Makes the secrets that docker-compose.yml mounts as files, once. What is there
# stays: losing a master key loses every personal datum sealed with it.
set -eu
dir=${1:-$(dirname "$0")/secrets}

# Containers run as another user than the one who makes the files, and Compose
# mounts them with the mode they have. So each file may be read, and the directory
# keeps the other users of this machine out.
umask 077
mkdir -p "$dir"

random() { head -c "$1" /dev/urandom | base64 | tr -d '\n'; }
password() { random 24 | tr '+/' '-_'; } # fit for a URL as it is

write() { # name, value
	[ -e "$dir/$1" ] && return
	printf '%s\n' "$2" >"$dir/.$1.new"
	chmod 444 "$dir/.$1.new"
	mv "$dir/.$1.new" "$dir/$1"
}
value() { cat "$dir/$1"; }

write master_keys "m1:$(random 32)"
write token_keys "t1:$(random 32)"
write address_keys "a1:$(random 32)"

write postgres_password "$(password)"
write minio_user daybook
write minio_password "$(password)"

write database_url "postgres://daybook:$(value postgres_password)@postgres:5432/daybook?sslmode=disable"
# Each role connects as itself; only migrate is the owner. See postgres-logins.sh.
for role in api projector worker; do
	write "database_password_$role" "$(password)"
	write "database_url_$role" "postgres://daybook_$role:$(value "database_password_$role")@postgres:5432/daybook?sslmode=disable"
done
write s3_url "http://$(value minio_user):$(value minio_password)@minio:9000/daybook?region=us-east-1"
