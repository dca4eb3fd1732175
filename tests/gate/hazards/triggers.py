"""Rows of one table on which those of another depend: triggers, and statements that compare the two."""

from tests.gate.hazards.case import Case, body, sql

# The probe of the gate has another search_path than the script.
LOGGED = sql(
    "CREATE TABLE steps (id serial PRIMARY KEY, title text)",
    "CREATE TABLE log (step_id int, at timestamptz)",
    "CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS"
    " 'BEGIN INSERT INTO log (step_id, at) VALUES (NEW.id, now()); RETURN NEW; END'",
    "CREATE TRIGGER log_it AFTER INSERT OR UPDATE ON steps FOR EACH ROW EXECUTE FUNCTION log_it()",
)
TOUCHED = sql(
    "CREATE TABLE steps (id serial PRIMARY KEY, title text, changed_at timestamptz)",
    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.changed_at = now(); RETURN NEW; END'",
    "CREATE TRIGGER touch BEFORE UPDATE ON steps FOR EACH ROW EXECUTE FUNCTION touch()",
)
TOPICS = sql(
    "CREATE TABLE topics (id serial PRIMARY KEY, name text)",
    "CREATE TABLE events (id serial PRIMARY KEY, topic text, topic_id int)",
)
FIND_TOPIC = (
    "UPDATE events SET topic_id = (SELECT id FROM topics WHERE topics.name = events.topic) WHERE topic_id IS NULL"
)
HISTORY = sql("CREATE TABLE prices (id serial PRIMARY KEY, product text NOT NULL, shop int, UNIQUE (product, shop))")

CASES = [
    Case(
        name="column renamed into which the trigger of another table writes",
        before=LOGGED,
        upgrade=sql("ALTER TABLE log RENAME at TO logged_at"),
        downgrade=sql("ALTER TABLE log RENAME logged_at TO at"),
        expected={"breaking-change", "populated-upgrade"},
        because="Each INSERT into steps fails, which the script does not name.",
    ),
    Case(
        name="column renamed and another table s trigger function with it",
        before=LOGGED,
        upgrade=sql(
            "ALTER TABLE log RENAME at TO logged_at",
            "CREATE OR REPLACE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS"
            " 'BEGIN INSERT INTO log (step_id, logged_at) VALUES (NEW.id, now()); RETURN NEW; END'",
        ),
        downgrade=sql(
            "ALTER TABLE log RENAME logged_at TO at",
            "CREATE OR REPLACE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS"
            " 'BEGIN INSERT INTO log (step_id, at) VALUES (NEW.id, now()); RETURN NEW; END'",
        ),
        expected={"breaking-change"},
        because="The trigger writes as before; code that reads the column is another matter.",
    ),
    Case(
        name="table renamed that the default of another table counts in",
        before=sql(
            "CREATE TABLE counters (n int)",
            "CREATE FUNCTION next_number() RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS"
            " 'BEGIN RETURN (SELECT count(*) FROM counters); END'",
            "CREATE TABLE invoices (id serial PRIMARY KEY, number bigint NOT NULL DEFAULT next_number())",
        ),
        upgrade="op.rename_table('counters', 'series')",
        downgrade="op.rename_table('series', 'counters')",
        expected={"breaking-change", "populated-upgrade"},
        because="Each INSERT into invoices calls the function, which does not find the table.",
    ),
    Case(
        name="column beside those that the trigger of another table writes",
        before=LOGGED,
        upgrade="op.add_column('log', sa.Column('who', sa.Text))",
        downgrade="op.drop_column('log', 'who')",
        because="The trigger names its columns.",
    ),
    Case(
        name="column renamed that the table s trigger writes at each UPDATE",
        before=TOUCHED,
        upgrade="op.alter_column('steps', 'changed_at', new_column_name='updated_at')",
        downgrade="op.alter_column('steps', 'updated_at', new_column_name='changed_at')",
        expected={"breaking-change", "populated-upgrade"},
        because="INSERTs pass, and each UPDATE ends in the trigger.",
    ),
    Case(
        name="column beside the one that a trigger writes at each UPDATE",
        before=TOUCHED,
        upgrade="op.add_column('steps', sa.Column('note', sa.Text))",
        downgrade="op.drop_column('steps', 'note')",
        because="The trigger works as before.",
    ),
    Case(
        name="key looked up by a name that may be there twice",
        before=TOPICS,
        upgrade=sql(FIND_TOPIC),
        downgrade="pass",
        expected={"populated-upgrade"},
        because="A subquery that gives two rows is an error, and nothing makes names unique.",
    ),
    Case(
        name="key looked up by a unique name",
        before=body(TOPICS, sql("ALTER TABLE topics ADD UNIQUE (name)")),
        upgrade=sql(FIND_TOPIC),
        downgrade="pass",
        because="It gives one row at most.",
    ),
    Case(
        name="key looked up by the smallest of several",
        before=TOPICS,
        upgrade=sql(FIND_TOPIC.replace("SELECT id", "SELECT min(id)")),
        downgrade="pass",
        because="An aggregate gives one row.",
    ),
    Case(
        name="rows joined by a name that may be there twice into a new table",
        before=TOPICS,
        upgrade=sql(
            "CREATE TABLE pairs (event_id int PRIMARY KEY, topic_id int)",
            "INSERT INTO pairs SELECT events.id, topics.id FROM events JOIN topics ON topics.name = events.topic",
        ),
        downgrade="op.drop_table('pairs')",
        expected={"populated-upgrade"},
        because="The event is there once for each of its topics.",
    ),
    Case(
        name="rows joined by a name into a new table with a key over both",
        before=TOPICS,
        upgrade=sql(
            "CREATE TABLE pairs (event_id int, topic_id int, PRIMARY KEY (event_id, topic_id))",
            "INSERT INTO pairs SELECT events.id, topics.id FROM events JOIN topics ON topics.name = events.topic",
        ),
        downgrade="op.drop_table('pairs')",
        because="Each pair is there once.",
    ),
    Case(
        name="NULLs filled in a column of a unique key",
        before=HISTORY,
        upgrade=sql("UPDATE prices SET shop = 0 WHERE shop IS NULL"),
        downgrade="pass",
        expected={"populated-upgrade"},
        because="Two rows whose shop was NULL were different, and are equal now.",
    ),
    Case(
        name="unique key that takes NULLs for equal",
        before=HISTORY,
        upgrade=sql(
            "ALTER TABLE prices DROP CONSTRAINT prices_product_shop_key",
            "ALTER TABLE prices ADD CONSTRAINT prices_key UNIQUE NULLS NOT DISTINCT (product, shop)",
        ),
        downgrade=sql(
            "ALTER TABLE prices DROP CONSTRAINT prices_key",
            "ALTER TABLE prices ADD CONSTRAINT prices_product_shop_key UNIQUE (product, shop)",
        ),
        expected={"blocking-index", "populated-upgrade"},
        because="Two rows whose shop is NULL were different, and are equal now.",
        since=15,
    ),
    Case(
        name="values that become rows of an older table",
        before=sql(
            "CREATE TABLE users (id int PRIMARY KEY, tracked text[])",
            "CREATE TABLE interests (user_id int REFERENCES users, program text, PRIMARY KEY (user_id, program))",
        ),
        upgrade=sql(
            "INSERT INTO interests SELECT users.id, p FROM users, unnest(tracked) AS p WHERE p <> '' ON CONFLICT DO NOTHING",
            "ALTER TABLE users DROP COLUMN tracked",
        ),
        expected={"breaking-change"},
        because="Each element is a row now. Code that reads the column fails.",
    ),
    Case(
        name="numbers that become part of a document",
        before=sql("CREATE TABLE banks (id int PRIMARY KEY, mission text, skepticism int, config jsonb)"),
        upgrade=sql(
            "UPDATE banks SET config = jsonb_build_object('mission', mission, 'skepticism', skepticism) WHERE config IS NULL",
            "ALTER TABLE banks DROP COLUMN skepticism",
        ),
        expected={"breaking-change", "data-loss"},
        because="Those that had a document keep it, and lose the number.",
    ),
    # Code in the database that sees what is changed, and minds none of it.
    Case(
        name="trigger whose function takes the whole row of a wider table",
        before=sql(
            "CREATE TABLE steps (id serial PRIMARY KEY, title text)",
            "CREATE TABLE log (step jsonb)",
            "CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS"
            " 'BEGIN INSERT INTO log (step) VALUES (to_jsonb(NEW)); RETURN NEW; END'",
            "CREATE TRIGGER log_it AFTER INSERT OR UPDATE ON steps FOR EACH ROW EXECUTE FUNCTION log_it()",
        ),
        upgrade="op.add_column('steps', sa.Column('note', sa.Text))",
        downgrade="op.drop_column('steps', 'note')",
        because="A document has room for one more value.",
    ),
    Case(
        name="function of a trigger replaced by one that names its columns",
        before=LOGGED,
        upgrade=sql(
            "CREATE OR REPLACE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS"
            " 'BEGIN INSERT INTO log (at, step_id) VALUES (now(), NEW.id); RETURN NEW; END'",
        ),
        downgrade=sql(
            "CREATE OR REPLACE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS"
            " 'BEGIN INSERT INTO log (step_id, at) VALUES (NEW.id, now()); RETURN NEW; END'",
        ),
        expected={"breaking-change"},
        notices={"breaking-change"},
        because="It is replaced in its place, and the triggers keep it.",
    ),
    Case(
        name="trigger of a new table that is filled at once",
        before=LOGGED,
        upgrade=sql(
            "CREATE TABLE parts (id serial PRIMARY KEY, title text)",
            "CREATE TRIGGER log_it AFTER INSERT ON parts FOR EACH ROW EXECUTE FUNCTION log_it()",
            "INSERT INTO parts (title) SELECT title FROM steps",
        ),
        downgrade="op.drop_table('parts')",
        because="The table is new, and the trigger writes into one that is there.",
    ),
    Case(
        name="column that another table s trigger does not write gets longer",
        before=body(LOGGED, sql("ALTER TABLE log ADD who varchar(20)")),
        upgrade="op.alter_column('log', 'who', type_=sa.String(40))",
        downgrade="op.alter_column('log', 'who', type_=sa.String(20))",
        because="Only the catalog changes.",
    ),
    Case(
        name="default of a table that calls a function of one more table",
        before=sql(
            "CREATE TABLE counters (n int)",
            "CREATE FUNCTION next_number() RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS"
            " 'BEGIN RETURN (SELECT count(*) FROM counters); END'",
            "CREATE TABLE invoices (id serial PRIMARY KEY, number bigint NOT NULL DEFAULT next_number())",
        ),
        upgrade="op.add_column('counters', sa.Column('name', sa.Text))",
        downgrade="op.drop_column('counters', 'name')",
        because="The function counts rows, whatever is in them.",
    ),
    Case(
        name="rows of a new table by a join with a key of one column",
        before=body(TOPICS, sql("ALTER TABLE topics ADD CONSTRAINT uq_name UNIQUE (name)")),
        upgrade=sql(
            "CREATE TABLE event_topics (event_id int PRIMARY KEY, topic_id int NOT NULL)",
            "INSERT INTO event_topics SELECT e.id, t.id FROM events e JOIN topics t ON t.name = e.topic",
        ),
        downgrade="op.drop_table('event_topics')",
        because="A topic is there once, so an event comes once.",
    ),
    Case(
        name="distinct rows into a new table with a key",
        before=TOPICS,
        upgrade=sql(
            "CREATE TABLE names (name text PRIMARY KEY)",
            "INSERT INTO names SELECT DISTINCT name FROM topics WHERE name IS NOT NULL",
        ),
        downgrade="op.drop_table('names')",
        because="DISTINCT leaves each once, and NULL is left out.",
    ),
    Case(
        name="rows into a new table that passes over what is there",
        before=TOPICS,
        upgrade=sql(
            "CREATE TABLE names (name text PRIMARY KEY)",
            "INSERT INTO names SELECT name FROM topics WHERE name IS NOT NULL ON CONFLICT DO NOTHING",
        ),
        downgrade="op.drop_table('names')",
        because="A name that is there already is no error.",
    ),
]
