-- The roles of the hub, with the passwords that the container's environment holds. PostgreSQL's
-- image runs it once, when the database is made; `./setup.sh --docker` runs it every time, so
-- that a password changed in .env holds. None of the roles is a superuser or passes by row
-- security; the superuser is reached from inside the container only.
\set ON_ERROR_STOP on
\getenv owner_password POSTGRES_OWNER_PASSWORD
\getenv app_password POSTGRES_APP_PASSWORD
\getenv worker_password POSTGRES_WORKER_PASSWORD
\set auditor_password ''
\getenv auditor_password POSTGRES_AUDITOR_PASSWORD
SET password_encryption = 'scram-sha-256';

SELECT format('CREATE ROLE %I', wanted)
  FROM unnest(ARRAY['memctx_owner', 'memctx_app', 'memctx_worker']) AS wanted
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted)
\gexec

-- memctx_owner owns the tables and runs the migrations, which give the others their rights on
-- them; memctx_app is the API; memctx_worker indexes, and reads no key.
ALTER ROLE memctx_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  PASSWORD :'owner_password';
ALTER ROLE memctx_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  PASSWORD :'app_password';
ALTER ROLE memctx_worker LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  PASSWORD :'worker_password';

-- Only with a password in .env: reads the audit log and how the indexes are.
SELECT :'auditor_password' <> '' AS has_auditor
\gset
\if :has_auditor
SELECT 'CREATE ROLE memctx_auditor'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_auditor')
\gexec
ALTER ROLE memctx_auditor LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  PASSWORD :'auditor_password';
\endif

SELECT format('ALTER DATABASE %I OWNER TO memctx_owner', current_database()),
       format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database())
\gexec
REVOKE ALL ON SCHEMA public FROM PUBLIC;
-- The limits are for connections that set none of their own, or whose pooler keeps those to itself.
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), rolname),
       format('GRANT USAGE ON SCHEMA public TO %I', rolname),
       format('ALTER ROLE %I SET statement_timeout = ''60s''', rolname),
       format('ALTER ROLE %I SET lock_timeout = ''2s''', rolname),
       format('ALTER ROLE %I SET idle_in_transaction_session_timeout = ''60s''', rolname),
       format('ALTER ROLE %I SET jit = off', rolname)
  FROM pg_roles WHERE rolname IN ('memctx_app', 'memctx_worker', 'memctx_auditor')
\gexec

-- Only docker-compose.replica.yml gives this password, to who may copy everything.
\getenv replica_password POSTGRES_REPLICA_PASSWORD
\if :{?replica_password}
SELECT 'CREATE ROLE memctx_replica'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_replica')
\gexec
ALTER ROLE memctx_replica LOGIN REPLICATION NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS
  PASSWORD :'replica_password';
\endif
