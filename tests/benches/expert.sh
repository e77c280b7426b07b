# What somebody types who does this for a living and knows the transaction: restore a copy to just before it, take the rows from
# there by key, and look again. Nothing is proven, and a failure leaves everything standing.
#
# Environment: BIN (programs of PostgreSQL), ARCHIVE, BACKUP, WORK (a folder to make), PORT (of the server), COPY_PORT, XID, TABLE,
# AS_USER (the user that owns the folders; empty: this one), LOGIN (name of the superuser), PGPASSWORD.
set -euo pipefail
as() { if [ -n "$AS_USER" ]; then setpriv --reuid="$AS_USER" --regid="$AS_USER" --clear-groups "$@"; else "$@"; fi; }
ask() { "$BIN/psql" -XqAt -v ON_ERROR_STOP=1 -h 127.0.0.1 -U "$LOGIN" -d app "$@"; }

segment=$(ask -p "$PORT" -c 'SELECT pg_walfile_name(pg_switch_wal())')
until [ -f "$ARCHIVE/$segment" ]; do sleep 0.1; done

as mkdir -m 700 "$WORK"
as cp -a --reflink=auto -T "$BACKUP" "$WORK/data"
as tee "$WORK/data/postgresql.conf" >/dev/null <<CONF
listen_addresses = '127.0.0.1'
port = $COPY_PORT
unix_socket_directories = ''
archive_mode = off
max_connections = 200
max_worker_processes = 64
max_wal_senders = 64
max_prepared_transactions = 64
dynamic_shared_memory_type = mmap
restore_command = 'cp "$ARCHIVE/%f" "%p"'
recovery_target_xid = '$XID'
recovery_target_inclusive = off
recovery_target_action = 'pause'
CONF
as truncate -s 0 "$WORK/data/postgresql.auto.conf"
as tee "$WORK/data/pg_hba.conf" >/dev/null <<<"host all all 127.0.0.1/32 trust"
as touch "$WORK/data/recovery.signal"
as "$BIN/pg_ctl" -D "$WORK/data" -l "$WORK/log" -w -s start
until [ "$(ask -p "$COPY_PORT" -c 'SELECT pg_get_wal_replay_pause_state()')" = paused ]; do sleep 0.1; done

ask -p "$COPY_PORT" -c "COPY $TABLE TO STDOUT" | ask -p "$PORT" -c 'BEGIN' -c "CREATE TEMP TABLE back (LIKE $TABLE) ON COMMIT DROP" \
    -c 'COPY back FROM STDIN' -c "INSERT INTO $TABLE SELECT * FROM back ON CONFLICT DO NOTHING" -c 'COMMIT'
missing=$(ask -p "$COPY_PORT" -c "SELECT count(*) FROM $TABLE")
[ "$(ask -p "$PORT" -c "SELECT count(*) FROM $TABLE")" = "$missing" ]

as "$BIN/pg_ctl" -D "$WORK/data" -m immediate -w -s stop
as rm -rf "$WORK"
