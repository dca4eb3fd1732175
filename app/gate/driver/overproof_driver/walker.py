"""Does what the recorder asks, with the context that `env.py` configured: a step, a held pair of steps, a query, the models.

One revision is one transaction, whatever `env.py` set. Where `env.py` began a transaction of its own, SQLAlchemy's view of it is left
alone, and a bare COMMIT and BEGIN are sent to the server between the revisions; what `env.py` had set with SET LOCAL is set again.
"""

import atexit
import gc
import logging
import os
import re
import sys
import time
import traceback
import warnings
from contextlib import contextmanager, suppress

import alembic
import sqlalchemy
from alembic.runtime.migration import HeadMaintainer, RevisionStep

from . import graph, models
from .watch import ARE_PREPARED, Stopped, Watch, named_by, sqlstate

log = logging.getLogger("alembic.runtime.migration")


class CannotHold(BaseException):
    """A step that is to be rolled back wants to commit. Not an Exception, so that no script swallows it."""


class Walker:
    """One call of `run_migrations`, steered by the recorder."""

    def __init__(self, context, arguments, channel, original):
        self.context = context
        self.arguments = arguments
        self.channel = channel
        self.original = original
        self.is_autocommit = False  # each statement commits by itself, as in an autocommit block
        self._is_always_autocommit = False
        self.is_held = False
        self.is_untouched = True  # nothing was done in the transaction yet
        self.has_committed = False  # the step under way, in whole or in part
        self._is_observed = False  # a step was to be looked into
        self.server_version = 0
        self._heads = set()
        self._settings = {}
        self._fingerprints = {}  # of the models

    def serve(self):
        """Answer requests until one of them ends the walk. Returns what `run_migrations` returns: nothing."""
        _spare_the_collector()
        self.channel.send(self._hello())
        while True:
            request = self.channel.receive()
            if request is None:
                os._exit(70)  # the gate is gone: nobody wants the rest of this command
            action = request["do"]
            if action in ("plain", "meet", "skip", "finish", "stamp", "stop"):
                _spare_the_collector()
                return getattr(self, "_end_" + action)()
            if action == "series":
                self._answer_all(request["requests"])
            else:
                self.channel.send(self._answer(**request))

    def _answer(self, do, **arguments):
        try:
            return getattr(self, "do_" + do)(**arguments)
        except Exception as error:
            return {"fault": _last_line(error), "traceback": traceback.format_exc()[-4000:]}

    def _answer_all(self, requests):
        """Answer one request after the other, up to the first that does not go well: its answer is marked as the last."""
        for request in requests:
            answer = self._answer(**request)
            is_last = not _went_well(answer)
            self.channel.send(dict(answer, is_last=True) if is_last else answer)
            if is_last:
                return

    # What is found on arrival.

    def _hello(self):
        context = self.context
        hello = {
            "pid": os.getpid(),
            "python": "{}.{}.{}".format(*sys.version_info[:3]),
            "alembic": alembic.__version__,
            "sqlalchemy": sqlalchemy.__version__,
            "dialect": context.dialect.name,
            "as_sql": bool(context.as_sql),
            "version_table": context.version_table,
            "version_table_schema": context.version_table_schema,
            "script_location": context.script.dir if context.script is not None else None,
            "directory": os.getcwd(),
        }
        if context.as_sql or context.dialect.name != "postgresql":
            return hello
        hello["database"] = self._scalar_outside("SELECT current_database()::text")
        hello["backend"] = self._scalar_outside("SELECT pg_backend_pid()::text")
        return hello

    def do_prepare(self):
        """Get ready for steps: own the transactions, read the plan. Sent once the recorder knows the database as its own."""
        context = self.context
        self.server_version = int(self._scalar_outside("SELECT current_setting('server_version_num')::text"))
        self._keep_prepared_statements()
        self._is_external = context._in_external_transaction
        self._settings = self._local_settings()
        self._was_per_migration = context._transaction_per_migration
        self._was_in_transaction = context._transaction is not None
        if self._was_in_transaction:
            context._transaction.commit()
            context._transaction = None
        context._transaction_per_migration = True
        self._patch_autocommit_block()
        self.watch = Watch(self)
        if hasattr(sqlalchemy.event, "listen"):
            sqlalchemy.event.listen(sqlalchemy.engine.Engine, "commit", self._on_commit)
        version = context._version
        self._mark_statement = (
            version.update()
            .values(version_num=sqlalchemy.bindparam("reached"))
            .where(version.c.version_num == sqlalchemy.bindparam("left"))
        )
        context.impl.start_migrations()
        try:
            self._begin()
            self._heads = set(context.get_current_heads())
            if not self._heads:
                context._ensure_version_table()
            transactions = [self.rows("SELECT txid_current()::bigint")[0][0] for _ in range(2)]
            self.is_autocommit = self._is_always_autocommit = transactions[0] != transactions[1]
            self._commit()
        except Exception as error:
            self._rollback()
            return {"failure": self._failure(error, None)}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            described = graph.describe(context, sorted(self._heads))
        described["warnings"] = [str(each.message) for each in caught]
        self._scripts = {each.revision: each for each in described.pop("scripts")}
        described["is_transactional"] = not self.is_autocommit
        described["current"] = sorted(self._heads)
        described["has_metadata"] = bool(models.metadatas(context))
        self._extent = models.extent(context)
        return described

    # Requests.

    def do_step(self, revision, direction, observe=True, stop_before=None):
        """Run one revision in one direction. Inside a hold it stays open, else it is committed.

        `stop_before` is the number of a statement, from 0, before which the step ends as if it were killed there.
        """
        script = self._scripts[revision]
        context = self.context
        getattr(context.impl, "memo", {}).clear()  # a fresh context would not know the enum types either
        try:
            step = RevisionStep(context.script.revision_map, script, direction == "upgrade")
        except AttributeError:
            return {"failure": {"error": "AttributeError", "message": f"the script has no {direction}()"}}
        maintainer = HeadMaintainer(context, set(self._heads))
        path = script.module.__file__
        answer = {}
        begun = time.perf_counter()
        self._get_ready_to_observe(observe)
        try:
            first = self._held_transaction if self.is_held else self._begin()
            self.has_committed = False
            self.watch.start(path, observe, first, stop_before)
            log.info("Running %s", step)
            with self._forgotten_tables(script.module):
                step.migration_fn(**self.arguments)
            answer["statements"] = self.watch.stop()
            self._check_hold()
            self._mark(maintainer, step)
            for callback in context.on_version_apply_callbacks:
                callback(ctx=context, step=step.info, heads=set(maintainer.heads), run_args=self.arguments)
            if self.is_held:
                self._execute("SET CONSTRAINTS ALL IMMEDIATE")  # what a commit would check
            answer["transactional"] = self.is_held or not (self.has_committed or first != self._transaction_id())
            if not self.is_held:
                self._commit()
            self._heads = set(maintainer.heads)
        except CannotHold:
            answer = {"cannot_hold": True, "statements": self.watch.quiet()}
        except Stopped:
            answer = {"stopped": True}
            self._undo()
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            if _is_our_own(error):
                raise
            answer = self._what_failed(error, path)
            if not self.is_held:
                self._undo()
        finally:
            self.watch.quiet()
            self.is_untouched = False
        answer["ms"] = (time.perf_counter() - begun) * 1000
        answer["dropped"] = self.watch.dropped
        return answer

    @contextmanager
    def _forgotten_tables(self, module):
        """Take out of a script's own MetaData, afterwards, what a step puts there: in a command of its own, the next one would find it as
        the module made it. The project's stays, so that it is seen if a script adds to it."""
        projects = models.metadatas(self.context)
        # By their types, for a proxy such as Flask's current_app may refuse to be asked. A declarative base has its own.
        values = [
            vars(value).get("metadata") if issubclass(type(value), type) else value
            for value in list(vars(module).values())
        ]
        known = [
            (each, set(each.tables))
            for each in values
            if issubclass(type(each), sqlalchemy.MetaData) and not any(each is other for other in projects)
        ]
        try:
            yield
        finally:
            for metadata, names in known:
                for name in set(metadata.tables) - names:
                    metadata.remove(metadata.tables[name])

    def _what_failed(self, error, path):
        """The answer to a step that raised this."""
        answer = {"statements": self.watch.quiet()}
        try:
            self._check_hold()
        except CannotHold:
            return dict(answer, cannot_hold=True)
        return dict(answer, failure=self._failure(error, path), transactional=not self.has_committed)

    def _get_ready_to_observe(self, is_wanted):
        """What looks into a step is prepared from the first one on that is to be looked into, and again where a script threw it away."""
        if is_wanted and not self._is_observed:
            self._is_observed = True
            if self.is_held:
                self.watch.prepare()

    def _mark(self, maintainer, step):
        """Have the version table say that the step was taken, as Alembic would.

        From one revision to the next along a line, that is plain. Alembic goes through all ancestors to find it out, and compiles
        a statement anew for each revision.
        """
        is_plain = (
            set(step.from_revisions) == maintainer.heads and len(step.from_revisions) == len(step.to_revisions) == 1
        )
        if is_plain:
            marked = self.context.connection.execute(
                self._mark_statement, {"left": step.from_revisions[0], "reached": step.to_revisions[0]}
            )
            is_plain = marked.rowcount == 1 or not self.context.dialect.supports_sane_rowcount
        if is_plain:
            maintainer.heads = set(step.to_revisions)
        else:
            maintainer.update_to_step(step)

    def do_hold(self):
        """Begin a transaction that `do_release` rolls back: a step down and up again that leaves no mark."""
        self._held_transaction = self._begin()
        self.is_held = True
        self._held_heads = set(self._heads)
        self._held_relations = self.watch.remember()
        return {}

    def _has_left_hold(self):
        """Whether a script has ended the held transaction, by a rollback that another session on the same connection did, say."""
        try:
            return self._transaction_id() != self._held_transaction
        except Exception:
            return self.has_committed  # an aborted transaction answers no query, and will be rolled back whole

    def _check_hold(self):
        """Raises CannotHold if the held transaction is no more."""
        if self.is_held and self._has_left_hold():
            raise CannotHold()

    def do_release(self, keep=False):
        """Roll the held transaction back, or commit it. `undone` is false if something in it was committed after all."""
        undone = not self._has_left_hold()
        self.is_held = False
        if keep:
            self._commit()
            return {"undone": False}
        self._undo()
        self._heads = self._held_heads
        self.watch.forget(self._held_relations)
        return {"undone": undone}

    def do_query(self, statements):
        """Run statements in the held transaction or in one of their own that is rolled back. The last one's only value, or None
        once a value is NULL: the statements after that one are not run."""
        if self.is_held:
            return {"value": self._query(statements)}
        self._open()
        try:
            return {"value": self._query(statements)}
        finally:
            self._rollback()

    def do_execute(self, statements):
        """Run statements to stay, in the held transaction or in one of their own."""
        if not self.is_held:
            self._begin()
        self.is_untouched = False
        try:
            for statement in statements:
                self._execute(statement)
        except Exception as error:
            if not self.is_held:
                self._rollback()
            return {"failure": self._failure(error, None)}
        if not self.is_held:
            self._commit()
        return {}

    def do_ask(self, sql, before=()):
        """The only value of a query in the held transaction, after some statements. A refusal is an answer, and undoes them all."""
        self.is_untouched = False
        try:
            self._execute("SAVEPOINT overproof_ask")
        except Exception as error:
            return {"failure": self._failure(error, None)}
        try:
            for statement in before:
                self._execute(statement)
            answer = {"value": self.rows(sql)[0][0]}
        except Exception as error:
            answer = {"failure": self._failure(error, None)}
            self._execute("ROLLBACK TO SAVEPOINT overproof_ask")
        self._execute("RELEASE SAVEPOINT overproof_ask")
        return answer

    def do_script(self, sql):
        """Run a whole script of statements, in the held transaction or, to stay, in one of its own."""
        if not self.is_held:
            self._begin()
        self.is_untouched = False
        try:
            self._run_script(sql)
        except Exception as error:
            if not self.is_held:
                self._rollback()
            return {"failure": self._failure(error, None)}
        if not self.is_held:
            self._commit()
        return {}

    def do_fingerprints(self):
        """What tells whether a table's model is as it was."""
        self._fingerprints = models.fingerprints(self.context)
        return {"models": self._fingerprints}

    def do_creation(self, settled):
        """The SQL that creates the models' tables, less the settled ones, if it is the same whoever runs it."""
        if models.extent(self.context) != self._extent:
            return {"statements": None}  # a script has added to the metadata
        # What stands without a schema is created in the first one of the session's search path, as the session's role.
        if self._scalar_outside("SELECT current_schema() || ' ' || current_setting('role')") != "public none":
            return {"statements": None}
        try:
            return {"statements": models.creation(self.context, settled, self._fingerprints)}
        except Exception:  # `models` will tell
            return {"statements": None}

    def do_drift(self, settled=()):
        """What autogenerate would still write, with the project's own options. Stale if a script has changed the metadata since."""
        self._begin()
        try:
            is_stale = models.extent(self.context) != self._extent
            return dict(models.drift(self.context, tuple(sorted(self._heads)), settled), is_stale=is_stale)
        except Exception as error:
            return {"failure": self._failure(error, None)}
        finally:
            self._rollback()

    def do_models(self):
        """Create the models' tables in this database, to stay."""
        self._begin()
        try:
            models.create(self.context)
            self._commit()
        except Exception as error:
            self._rollback()
            return {"failure": self._failure(error, None)}
        return {}

    def do_hidden(self):
        """The tables that the project's include_object or include_name hides from autogenerate."""
        self._begin()
        try:
            return {"tables": models.hidden(self.context)}
        finally:
            self._rollback()

    def do_unregistered(self):
        """Table classes in the models' packages that Alembic never saw."""
        return {"models": models.unregistered(self.context)}

    def do_offline(self, start):
        """The SQL that Alembic would print for a database at those revisions: [revision or None, piece], as it would print them."""
        pieces = []
        if start:
            self.context._start_from_rev = tuple(start)
        coming = script = None  # the revision that is next, and the one that is at work
        list_steps = self.context._migrations_fn

        def watched_steps(heads, context):
            nonlocal coming, script
            for step in list_steps(heads, context):
                coming = getattr(step, "revision", None)
                yield step
                script = None

        def note(piece):
            nonlocal script
            if piece.startswith("-- Running "):  # what goes before it, the version table, is Alembic's own
                script = coming
            pieces.append([script and script.revision, piece])

        self.context._migrations_fn = watched_steps
        self.context.impl.static_output = note
        try:
            self.original(self.context, **self.arguments)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            failure = self._failure(error, script and script.module.__file__)
            return {"pieces": pieces, "failure": dict(failure, revision=script and script.revision)}
        return {"pieces": pieces}

    # Ends of the walk.

    def _end_plain(self):
        """Let Alembic do what it would have done without us."""
        self.channel.send({})
        self.channel.close()
        return self.original(self.context, **self.arguments)

    def _end_meet(self):
        """The same, but wait for the recorder once it is known at which revision the database is."""
        look = self.context.get_current_heads

        def get_current_heads():
            heads = look()
            del self.context.get_current_heads
            self.channel.send({"met": True})
            self.channel.receive()
            self.channel.close()
            return heads

        self.context.get_current_heads = get_current_heads
        try:
            return self.original(self.context, **self.arguments)
        finally:
            self.channel.close()  # as where it never asked for the revision

    def _end_skip(self):
        """Do nothing at all."""
        self.channel.send({})
        self.channel.close()

    def _end_stop(self):
        """End the whole process: the recorder has what it wanted."""
        self.channel.send({})
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

    def _end_finish(self):
        """Put the context back as `env.py` expects it, and let the command end as it would."""
        context = self.context
        self.watch.close()
        sqlalchemy.event.remove(sqlalchemy.engine.Engine, "commit", self._on_commit)
        context.__dict__.pop("autocommit_block", None)
        context._transaction_per_migration = self._was_per_migration
        if self._was_in_transaction:
            context._transaction = self._begun_transaction()
        atexit.register(self._tell_what_is_late, models.tables(context))
        self.channel.send({})

    def _tell_what_is_late(self, known):
        """As the command ends: the tables that it has added to the metadata once Alembic was done, with a plugin, say."""
        with suppress(Exception):  # nobody waits for it
            self.channel.send({"late": sorted(models.tables(self.context) - known)})
            self.channel.close()

    def _end_stamp(self):
        """The same, after Alembic has marked the database with a revision, which runs no script."""
        self._end_finish()
        return self.original(self.context, **self.arguments)

    # The connection.

    def rows(self, sql):
        """Rows of a query, read with a bare cursor on the migration's connection."""
        cursor = self._raw_connection().cursor()
        try:
            cursor.execute(sql)
            return cursor.fetchall()
        finally:
            cursor.close()

    def is_same(self, connection):
        """Whether that SQLAlchemy connection speaks through the migration's DBAPI connection."""
        if connection is self.context.connection:
            return True
        try:
            return _dbapi_connection(connection) is self._raw_connection()
        except Exception:
            return False

    def has_transaction(self):
        """Whether PostgreSQL is in a transaction block on the migration's connection."""
        # Outside of one, the transaction is the statement itself and began at the same moment.
        return bool(self.rows("SELECT (now() < statement_timestamp())::int")[0][0])

    def send(self, sql):
        """Run a statement past SQLAlchemy, on the migration's connection."""
        self._execute(sql)

    def refuse_commit_in(self, statement):
        """Raises CannotHold if a held step is about to end its transaction in SQL."""
        words = statement.upper().split(None, 3)[:3]
        # ROLLBACK TO a savepoint stays inside.
        if (
            self.is_held
            and words
            and words[0].rstrip(";") in ("COMMIT", "END", "ROLLBACK", "ABORT")
            and "TO" not in words
        ):
            raise CannotHold()

    def _raw_connection(self):
        return _dbapi_connection(self.context.connection)

    def _keep_prepared_statements(self):
        """psycopg 3 prepares what it is given often enough, and after each ROLLBACK, DROP and ALTER throws away all that is prepared in
        the session: what the recorder prepared to follow the schema as well, in the middle of its questions."""
        raw = self._raw_connection()
        connection = getattr(raw, "_connection", raw)  # below SQLAlchemy's adapter for async drivers
        if hasattr(connection, "prepare_threshold"):
            connection.prepare_threshold = None

    def _execute(self, sql):
        cursor = self._raw_connection().cursor()
        try:
            cursor.execute(sql)
        finally:
            cursor.close()

    def _run_script(self, sql):
        """Where to cut a script into statements is for PostgreSQL to say, so it is sent as a whole."""
        raw = self._raw_connection()
        if type(raw).__module__.endswith(".asyncpg"):
            # Its cursor prepares what it is given, which can only be a single statement; the connection below it does not.
            waiting = sqlalchemy.util.concurrency
            wait = getattr(waiting, "await_", None) or waiting.await_only  # its name before SQLAlchemy 2.1
            wait(raw._connection.execute(sql))
        else:
            self._execute(sql)

    def _query(self, statements):
        value = None
        cursor = self._raw_connection().cursor()
        try:
            for statement in statements:
                cursor.execute(statement)
                if cursor.description:
                    value = cursor.fetchall()[0][0]
                    if value is None:
                        break
        finally:
            cursor.close()
        return value

    def _scalar_outside(self, sql):
        """One value, leaving the connection's transaction state as it was."""
        connection = self.context.connection
        was_in_transaction = connection.in_transaction()
        value = self.rows(sql)[0][0]
        if not was_in_transaction:
            self._raw_connection().rollback()
        return value

    def _transaction_id(self):
        return self.rows("SELECT txid_current()::bigint")[0][0]

    def _begun_transaction(self):
        """The connection's SQLAlchemy transaction, begun if there is none."""
        connection = self.context.connection
        return connection.get_transaction() or connection.begin()

    def _open(self):
        """Be in a transaction."""
        if not self._is_external:
            self.context._transaction = self._begun_transaction()
        elif not self.context.connection.in_transaction():
            # A script has ended what `env.py` began. SQLAlchemy would begin another with the next statement, unless a `with` forbids it.
            with suppress(sqlalchemy.exc.InvalidRequestError):
                self.context.connection.begin()

    def _begin(self):
        """Be in a transaction in which a step, or whatever a script does, finds what it would find in a new session. Gives its id."""
        self._open()
        asked = ["txid_current()::bigint", "pg_my_temp_schema()::bigint", ARE_PREPARED if self._is_observed else "1"]
        if self.server_version >= 150000:
            # At its end, so that the counters of the next one start from zero.
            asked.append("pg_stat_force_next_flush()::text")
        transaction, temporary_schema, are_prepared = self.rows("SELECT " + ", ".join(asked))[0][:3]
        if temporary_schema:
            self._execute("DISCARD TEMP")
        if not are_prepared:
            self.watch.prepare()
        self.is_untouched = True
        self._apply_settings()
        return transaction

    def _commit(self):
        if self._is_external:
            self._end_external("COMMIT")
            return
        # A script that committed has left Alembic's transaction behind, and SQLAlchemy has begun another.
        transaction = self.context.connection.get_transaction()
        self.context._transaction = None
        if transaction is not None:
            transaction.commit()

    def _rollback(self):
        if self._is_external:
            transaction = self.context.connection.get_transaction()
            if transaction is not None and not transaction.is_active:
                transaction.rollback()  # a script's commit of it was interrupted: SQLAlchemy would refuse all that comes
            self._end_external("ROLLBACK")
            return
        transaction = self.context.connection.get_transaction()
        self.context._transaction = None
        if transaction is not None:
            transaction.rollback()
        else:
            # A script that rolled back by itself may leave a connection that SQLAlchemy takes for idle and PostgreSQL for aborted.
            self._raw_connection().rollback()

    def _undo(self):
        """Roll back what a step did, in the ORM's sessions too that it left in the middle of something.

        A session that outlives the script, as an application's may, would refuse everything that the next one wants of it. If it
        shares the connection (StaticPool, SingletonThreadPool), its rollback is ours.
        """
        sessions = getattr(sys.modules.get("sqlalchemy.orm.session"), "_sessions", {})
        for session in list(sessions.values()):
            if not session.is_active:
                with suppress(Exception):
                    session.rollback()
        self._rollback()

    def _end_external(self, how):
        """End the transaction that `env.py` began, and begin the next, unless SQLAlchemy alone takes it for one."""
        if self._is_always_autocommit:
            return  # a BEGIN would make a transaction that nobody ends
        self._execute(how)
        self._execute("BEGIN")

    def _local_settings(self):
        """{"lock_timeout": "2s"}: what `env.py` has set in its session or transaction."""
        rows = self.rows(
            "SELECT name::text, current_setting(name)::text FROM pg_settings"
            " WHERE source = 'session' AND context IN ('user', 'superuser')"
            " UNION ALL SELECT 'role', current_setting('role') WHERE current_setting('role') <> 'none'"
        )
        return dict(rows)

    def _apply_settings(self):
        """Set again what a COMMIT has undone."""
        if not self._settings:
            return
        names = sorted(self._settings)
        asked = ", ".join(f"current_setting({_literal(name)})::text" for name in names)
        for name, value in zip(names, self.rows(f"SELECT {asked}")[0]):
            if value != self._settings[name]:
                self._execute(f"SELECT set_config({_literal(name)}, {_literal(self._settings[name])}, true)")

    # Alembic's autocommit_block, and commits behind our back.

    def _patch_autocommit_block(self):
        block = type(self.context).autocommit_block

        @contextmanager
        def autocommit_block():
            if self.is_held:
                raise CannotHold()
            self.has_committed = True
            self.is_autocommit = True  # before the block ends the transaction, which is not the script's own commit
            try:
                with block(self.context):
                    yield
            finally:
                self.is_autocommit = self._is_always_autocommit

        self.context.autocommit_block = autocommit_block

    def _on_commit(self, connection):
        if not self.is_same(connection):
            return
        if self.is_held:
            raise CannotHold()
        if not self.is_autocommit:
            self.watch.note_commit()

    def _failure(self, error, path):
        """What went wrong, as the recorder wants it. The first database error of a step, if a script swallowed that."""
        line = graph.line_of(error, path) if path else None
        error = _without_wrapping(error)
        statement = getattr(error, "statement", None)
        original = getattr(error, "orig", None) or error
        first = self.watch.first_error if hasattr(self, "watch") else None
        if first is not None and sqlstate(original) == "25P02" and sqlstate(first[0]) != "25P02":
            original, statement, line = first[0], first[1], first[2] or line
        told = original.__cause__ if "asyncpg" in type(original).__module__ and original.__cause__ else original
        return {
            "error": f"{type(told).__module__}.{type(told).__qualname__}".replace("builtins.", ""),
            "message": _last_line(told) if isinstance(told, SystemExit) else _first_line(told),
            "sqlstate": sqlstate(original),
            "sql": str(statement)[:20000] if statement else None,
            "line": line,
            **named_by(told),
        }


def _spare_the_collector():
    """Have the garbage collector leave alone what is loaded by now: models and scripts, which stay to the end in any case.

    Else it goes through all of it again and again, and once more as Python ends: 0.2 s with 300 tables.
    """
    if hasattr(gc, "freeze"):  # not in PyPy
        gc.freeze()


def _went_well(answer):
    """Whether what comes after that answer can be foreseen."""
    if answer.get("value", "") is None or not answer.get("transactional", True):
        return False
    return not any(answer.get(name) for name in ("fault", "failure", "cannot_hold", "stopped"))


def _is_our_own(error):
    """Whether it is a defect of the driver: raised in its own files, and not by the database."""
    if not isinstance(error, (AttributeError, IndexError, KeyError, NameError, TypeError, ValueError)):
        return False
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and os.path.dirname(frames[-1].filename) == os.path.dirname(__file__)


def _without_wrapping(error):
    """The database's error, where a library (oslo.db) has put it into one of its own."""
    wrapped = getattr(error, "inner_exception", None)
    while wrapped is not None:
        if sqlstate(getattr(wrapped, "orig", None) or wrapped):
            return wrapped
        wrapped = getattr(wrapped, "inner_exception", None)
    return error


def _dbapi_connection(connection):
    proxied = connection.connection
    return getattr(proxied, "dbapi_connection", None) or proxied.connection


def _first_line(error):
    text = (str(error).strip().splitlines() or [type(error).__name__])[0][:2000]
    return _ADDRESS.sub("", text)


_ADDRESS = re.compile(r" at 0x[0-9a-f]{6,}(?=>)")  # of an object that has no better name for itself


def _last_line(error):
    if isinstance(error, SystemExit):
        return f"the script called sys.exit({error.code!r})"
    return f"{type(error).__name__}: {_first_line(error)}"


def _literal(text):
    # Values come from PostgreSQL's own settings; standard_conforming_strings is on in every supported server.
    return "'" + str(text).replace("'", "''") + "'"
