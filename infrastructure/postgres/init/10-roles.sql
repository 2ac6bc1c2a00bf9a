-- The roles of the hub, with the passwords that the container's environment holds. PostgreSQL's
-- image runs it once, when the database is made; `./setup.sh --docker` runs it every time, so
-- that a password changed in .env holds. None of the roles is a superuser or passes by row
-- security; the superuser is reached from inside the container only.
\set ON_ERROR_STOP on
\getenv owner_password POSTGRES_OWNER_PASSWORD
\getenv app_password POSTGRES_APP_PASSWORD
SET password_encryption = 'scram-sha-256';

SELECT format('CREATE ROLE %I', wanted)
  FROM unnest(ARRAY['memctx_owner', 'memctx_app']) AS wanted
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted)
\gexec

-- memctx_owner owns the tables and runs the migrations; memctx_app is the API and the worker.
ALTER ROLE memctx_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  PASSWORD :'owner_password';
ALTER ROLE memctx_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  PASSWORD :'app_password';

SELECT format('ALTER DATABASE %I OWNER TO memctx_owner', current_database()),
       format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()),
       format('GRANT CONNECT ON DATABASE %I TO memctx_app', current_database())
\gexec
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO memctx_app;

-- For connections that set no limits of their own, or whose pooler keeps those to itself.
ALTER ROLE memctx_app SET statement_timeout = '60s';
ALTER ROLE memctx_app SET lock_timeout = '2s';
ALTER ROLE memctx_app SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE memctx_app SET jit = off;

-- Only docker-compose.replica.yml gives this password, to who may copy everything.
\getenv replica_password POSTGRES_REPLICA_PASSWORD
\if :{?replica_password}
SELECT 'CREATE ROLE memctx_replica'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_replica')
\gexec
ALTER ROLE memctx_replica LOGIN REPLICATION NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS
  PASSWORD :'replica_password';
\endif
