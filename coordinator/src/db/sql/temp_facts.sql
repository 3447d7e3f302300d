SELECT has_database_privilege(current_database(), 'TEMP'), current_database()::text, current_user::text
