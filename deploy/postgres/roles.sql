-- The roles of nstore, for the database that this runs in:
--     psql -d warehouse -f roles.sql
-- as a superuser, or on a managed server as its administrator. It may be run again at any time.
--
-- nstore_loader   for nstore: owns the schema nstore, makes and fills tables in the schema public
-- nstore_analyst  for people: reads these tables, the ledger and the rejected rows, writes nothing
--
-- Both may log in once they have a password, as by psql's \password nstore_loader. Write another schema in the place
-- of public where `postgres.schema` in config/pipeline.yaml is another one.

DO $$
DECLARE
    role text;
    filled regclass;
BEGIN
    FOREACH role IN ARRAY ARRAY['nstore_loader', 'nstore_analyst'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I LOGIN', role);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- it stands already
        END;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
    END LOOP;
    -- rows that are there already are skipped by way of a temporary table
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO nstore_loader', current_database());
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        -- to give it a schema, and to speak of what it will make
        GRANT nstore_loader TO CURRENT_USER;
    END IF;

    CREATE SCHEMA IF NOT EXISTS nstore AUTHORIZATION nstore_loader;
    GRANT USAGE, CREATE ON SCHEMA public TO nstore_loader;

    GRANT USAGE ON SCHEMA public, nstore TO nstore_analyst;
    -- what stands
    FOR filled IN
        SELECT oid FROM pg_class
        WHERE relnamespace IN ('public'::regnamespace, 'nstore'::regnamespace) AND relkind IN ('r', 'p')
          AND relowner = 'nstore_loader'::regrole
    LOOP
        EXECUTE format('GRANT SELECT ON %s TO nstore_analyst', filled);
    END LOOP;
    -- and what nstore makes from now on
    ALTER DEFAULT PRIVILEGES FOR ROLE nstore_loader IN SCHEMA public, nstore
        GRANT SELECT ON TABLES TO nstore_analyst;
END
$$;
