"""Labelled releases: what a revision does to the code that runs."""

from __future__ import annotations

from tests.gate.deployed.case import USE, Case, adds, also, breaks, depends, safe, sql, with_order

_UPSERT = """
from sqlalchemy.dialects.postgresql import insert
upsert = insert(Customer).values(email="ann@example.com")
session.execute(upsert.on_conflict_do_update(index_elements=[Customer.email], set_={"email": upsert.excluded.email}))
"""
_WITHOUT_NOTE = """
order = Order(customer=Customer(email="ann@example.com"))
session.add(order)
session.flush()
assert session.scalars(sa.select(Order)).one().status == "new"
order.total = Decimal("1.00")
session.flush()
session.delete(order)
"""
_MOOD = 'mood: Mapped[str] = mapped_column(sa.Enum({labels}, name="mood"), server_default="new")'
_NEW_OLD, _NEW = _MOOD.format(labels='"new", "old"'), _MOOD.format(labels='"new"')
_PLAIN = 'mood: Mapped[str] = mapped_column(sa.Enum({labels}, native_enum=False, length=20), server_default="new")'
_VIEW_OF_RENAMED = (
    "CREATE VIEW orders AS SELECT id, customer_id, remark AS note, status, total, placed_at FROM purchases"
)

COLUMNS: list[Case] = [
    breaks("a column goes in the same release", "op.drop_column('orders', 'note')"),
    safe(
        "a column goes one release after the code let go of it",
        "op.drop_column('orders', 'legacy')",
        before="op.add_column('orders', sa.Column('legacy', sa.Text))",
    ),
    safe(
        "a column goes that the code has let go of, and keeps in its table for autogenerate",
        "op.drop_column('orders', 'note')",
        models=with_order(without="note") + '\nOrder.__table__.append_column(sa.Column("note", sa.String(50)))\n',
        use=_WITHOUT_NOTE,
    ),
    safe(
        "a required column with a default goes one release later",
        "op.drop_column('orders', 'legacy')",
        before="op.add_column('orders', sa.Column('legacy', sa.Text, nullable=False, server_default=''))",
    ),
    breaks("a column is renamed", "op.alter_column('orders', 'note', new_column_name='remark')"),
    safe(
        "a column that no code names is renamed",
        "op.alter_column('orders', 'legacy', new_column_name='older')",
        before="op.add_column('orders', sa.Column('legacy', sa.Text))",
    ),
    breaks(
        "a column is renamed and a generated one has its name",
        sql(
            "ALTER TABLE orders RENAME note TO remark",
            "ALTER TABLE orders ADD note varchar(50) GENERATED ALWAYS AS (remark) STORED",
        ),
    ),
    adds("a nullable column comes", "op.add_column('orders', sa.Column('channel', sa.Text))"),
    adds(
        "a required column with a default comes",
        "op.add_column('orders', sa.Column('channel', sa.Text, nullable=False, server_default='web'))",
    ),
    adds(
        "columns of many types come",
        "op.add_column('orders', sa.Column('code', sa.String(3)))\n"
        "op.add_column('orders', sa.Column('rate', sa.Numeric(3, 1)))\n"
        "op.add_column('orders', sa.Column('seen_at', sa.DateTime(timezone=True), server_default=sa.func.now()))\n"
        "op.add_column('orders', sa.Column('count', sa.Integer, server_default='0', nullable=False))\n"
        "op.add_column('orders', sa.Column('is_paid', sa.Boolean, server_default=sa.false(), nullable=False))\n"
        "op.add_column('orders', sa.Column('tags', sa.ARRAY(sa.Text), server_default='{}', nullable=False))\n",
    ),
    breaks(
        "a column of a domain that refuses NULL comes",
        sql("ALTER TABLE orders ADD channel filled"),
        before=sql("CREATE DOMAIN filled AS text CHECK (VALUE IS NOT NULL)"),
    ),
    breaks(
        "a column comes whose default fails",
        sql("ALTER TABLE orders ADD channel int DEFAULT 1 / (random() * 0)::int"),
    ),
    breaks(
        "a required column without a default comes",
        "op.add_column('orders', sa.Column('channel', sa.Text, nullable=False))",
    ),
    breaks(
        "a required column comes and its default goes at once",
        "op.add_column('orders', sa.Column('channel', sa.Text, nullable=False, server_default='web'))\n"
        "op.alter_column('orders', 'channel', server_default=None)",
    ),
    safe(
        "a trigger fills the required column",
        sql(
            "ALTER TABLE orders ADD channel text NOT NULL",
            "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NEW.channel = coalesce(NEW.channel, 'web'); RETURN NEW; END $$",
            "CREATE TRIGGER fill BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION fill()",
        ),
    ),
    safe(
        "a generated column comes",
        "op.add_column('orders', sa.Column('double', sa.Numeric, sa.Computed('total * 2', persisted=True)))",
    ),
    safe("an identity column comes", sql("ALTER TABLE orders ADD number bigint GENERATED ALWAYS AS IDENTITY")),
    breaks(
        "a column that the code leaves out is required without a default",
        "op.alter_column('orders', 'legacy', nullable=False)",
        before="op.add_column('orders', sa.Column('legacy', sa.Text))",
    ),
    safe(
        "a column that the code leaves out is required with a default",
        sql("ALTER TABLE orders ALTER legacy SET DEFAULT ''", "ALTER TABLE orders ALTER legacy SET NOT NULL"),
        before="op.add_column('orders', sa.Column('legacy', sa.Text))",
    ),
    depends("a column that the code may leave empty is required", "op.alter_column('orders', 'note', nullable=False)"),
    safe(
        "a column that the code always gives a value is required",
        "op.alter_column('orders', 'total', nullable=False)",
        before="op.alter_column('orders', 'total', nullable=True)",
    ),
    breaks("a server default goes that the code relies on", "op.alter_column('orders', 'status', server_default=None)"),
    safe(
        "a server default goes that the code does not need",
        "op.alter_column('orders', 'total', server_default=None)",
        before="op.alter_column('orders', 'total', server_default='0')",
    ),
    safe("a server default changes", "op.alter_column('orders', 'total', server_default='1')"),
    breaks(
        "a column is generated now",
        sql("ALTER TABLE orders DROP note", "ALTER TABLE orders ADD note text GENERATED ALWAYS AS (status) STORED"),
    ),
    safe(
        "the identity of a key that the code leaves out is generated always",
        sql(
            "ALTER TABLE orders ALTER id DROP DEFAULT",
            "ALTER TABLE orders ALTER id ADD GENERATED ALWAYS AS IDENTITY",
        ),
    ),
]

TABLES: list[Case] = [
    breaks("a table is renamed", "op.rename_table('orders', 'purchases')"),
    safe(
        "a table is renamed and a view has its name",
        sql("ALTER TABLE orders RENAME TO purchases", "CREATE VIEW orders AS SELECT * FROM purchases"),
    ),
    safe(
        "a table and a column are renamed behind a view",
        sql(
            "ALTER TABLE orders RENAME TO purchases",
            "ALTER TABLE purchases RENAME note TO remark",
            _VIEW_OF_RENAMED,
        ),
    ),
    breaks(
        "the view that has the name of a renamed table is read only",
        sql(
            "ALTER TABLE orders RENAME TO purchases",
            "CREATE VIEW orders AS SELECT DISTINCT * FROM purchases",
        ),
    ),
    safe("a table that no model maps goes", "op.drop_table('older')", before=sql("CREATE TABLE older (id integer)")),
    safe(
        "a table that no model maps is renamed",
        "op.rename_table('older', 'oldest')",
        before=sql("CREATE TABLE older (id integer)"),
    ),
    breaks("a table goes", "op.drop_table('orders')"),
    safe(
        "a table comes that refers to another",
        "op.create_table('lines', sa.Column('order_id', sa.Integer, sa.ForeignKey('orders.id')))",
    ),
    breaks(
        "a table is split",
        "op.create_table('notes', sa.Column('order_id', sa.Integer, sa.ForeignKey('orders.id')), sa.Column('note', sa.Text))\n"
        + sql("INSERT INTO notes SELECT id, note FROM orders", "ALTER TABLE orders DROP note"),
    ),
    safe(
        "a table is split and the columns stay",
        "op.create_table('notes', sa.Column('order_id', sa.Integer, sa.ForeignKey('orders.id')), sa.Column('note', sa.Text))\n"
        + sql("INSERT INTO notes SELECT id, note FROM orders"),
    ),
    safe(
        "a table is split behind a view with triggers",
        sql(
            "ALTER TABLE orders RENAME TO core",
            "CREATE TABLE notes (order_id integer PRIMARY KEY REFERENCES core ON DELETE CASCADE, note varchar(50))",
            "INSERT INTO notes SELECT id, note FROM core",
            "ALTER TABLE core DROP note",
            "CREATE VIEW orders AS SELECT id, customer_id, note, status, total, placed_at"
            " FROM core LEFT JOIN notes ON order_id = id",
            "CREATE FUNCTION put() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " INSERT INTO core (customer_id, status, total, placed_at) VALUES (NEW.customer_id, coalesce(NEW.status, 'new'),"
            " NEW.total, coalesce(NEW.placed_at, now())) RETURNING id, status, placed_at INTO NEW.id, NEW.status, NEW.placed_at;"
            " INSERT INTO notes VALUES (NEW.id, NEW.note); RETURN NEW; END $$",
            "CREATE TRIGGER put INSTEAD OF INSERT ON orders FOR EACH ROW EXECUTE FUNCTION put()",
            "CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " UPDATE core SET status = NEW.status, total = NEW.total, customer_id = NEW.customer_id WHERE id = OLD.id;"
            " UPDATE notes SET note = NEW.note WHERE order_id = OLD.id; RETURN NEW; END $$",
            "CREATE TRIGGER change INSTEAD OF UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION change()",
            "CREATE FUNCTION remove() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN DELETE FROM core WHERE id = OLD.id; RETURN OLD; END $$",
            "CREATE TRIGGER remove INSTEAD OF DELETE ON orders FOR EACH ROW EXECUTE FUNCTION remove()",
        ),
    ),
]

TYPES: list[Case] = [
    breaks("a text is shorter than the code writes", "op.alter_column('orders', 'note', type_=sa.String(20))"),
    safe(
        "a text is as long as the code writes",
        "op.alter_column('orders', 'note', type_=sa.String(50))",
        before="op.alter_column('orders', 'note', type_=sa.String(200))",
    ),
    safe("a text is longer", "op.alter_column('orders', 'note', type_=sa.Text)"),
    safe("a number is larger", "op.alter_column('orders', 'total', type_=sa.Numeric(12, 2))"),
    breaks("a number is smaller", "op.alter_column('orders', 'total', type_=sa.Numeric(8, 2))"),
    safe("a key is a bigint", "op.alter_column('orders', 'id', type_=sa.BigInteger)"),
    breaks(
        "a bigint is an integer",
        "op.alter_column('orders', 'size', type_=sa.Integer)",
        models=with_order("size: Mapped[int | None] = mapped_column(sa.BigInteger)"),
        use=also("order.size = 2**40", "session.flush()"),
    ),
    breaks(
        "a time has a zone",
        "op.alter_column('orders', 'placed_at', type_=sa.DateTime(timezone=True))",
        use=also("assert order.placed_at <= datetime.now() + timedelta(days=1)"),
    ),
    safe(
        "a time has a zone as the models have it",
        "op.alter_column('orders', 'paid_at', type_=sa.DateTime(timezone=True))",
        models=with_order("paid_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))"),
        before="op.alter_column('orders', 'paid_at', type_=sa.DateTime)",
    ),
    breaks(
        "a text is a number",
        "op.alter_column('orders', 'note', type_=sa.Integer, postgresql_using='length(note)')",
    ),
    breaks(
        "a number is a text",
        "op.alter_column('orders', 'size', type_=sa.Text)",
        models=with_order("size: Mapped[int | None] = mapped_column(sa.Integer)"),
        use=also("order.size = 5", "session.flush()", "session.refresh(order)", "order.size + 1"),
    ),
    safe(
        "json is jsonb",
        "op.alter_column('orders', 'extra', type_=sa.dialects.postgresql.JSONB, postgresql_using='extra::jsonb')",
        models=with_order("extra: Mapped[dict | None] = mapped_column(sa.JSON)"),
        use=also(
            "order.extra = {'a': 1}", "session.flush()", "session.refresh(order)", "assert order.extra == {'a': 1}"
        ),
    ),
    breaks(
        "a text is a uuid",
        "op.alter_column('orders', 'token', type_=sa.Uuid, postgresql_using='token::uuid')",
        models=with_order("token: Mapped[str | None] = mapped_column(sa.String(36))"),
        use=also("order.token = str(uuid4())", "session.flush()", "session.refresh(order)", "order.token.upper()"),
    ),
    safe(
        "the type of a column that no code names is another",
        "op.alter_column('orders', 'legacy', type_=sa.Integer, postgresql_using='length(legacy)')",
        before="op.add_column('orders', sa.Column('legacy', sa.Text))",
    ),
]

_SWAP = (
    "ALTER TABLE orders ALTER mood DROP DEFAULT",
    "ALTER TYPE mood RENAME TO older_mood",
    "CREATE TYPE mood AS ENUM ('new')",
    "ALTER TABLE orders ALTER mood TYPE mood USING 'new'::mood",
    "ALTER TABLE orders ALTER mood SET DEFAULT 'new'",
    "DROP TYPE older_mood",
)
_KEPT = sql(
    "INSERT INTO customers (email) VALUES ('kept@example.com')",
    "INSERT INTO orders (customer_id, note, total) SELECT id, 'kept', 1 FROM customers",
)
_READS_KEPT = "[kept] = session.scalars(sa.select(Order)).all()"
_WRITES_OLD = also("order.mood = 'old'", "session.flush()")
ENUMS: list[Case] = [
    safe("an enum has one more label", sql("ALTER TYPE mood ADD VALUE 'late'"), models=with_order(_NEW_OLD)),
    breaks("an enum loses a label that the code writes", sql(*_SWAP), models=with_order(_NEW_OLD), use=_WRITES_OLD),
    safe(
        "an enum loses a label that the code has let go of",
        sql(*_SWAP),
        models=with_order(_NEW),
        before=sql("ALTER TYPE mood ADD VALUE 'old'"),
    ),
    safe(
        "an enum has another name", sql("ALTER TYPE mood RENAME TO moods"), models=with_order(_NEW_OLD), use=_WRITES_OLD
    ),
    safe(
        "an enum is a text",
        sql(
            "ALTER TABLE orders ALTER mood DROP DEFAULT",
            "ALTER TABLE orders ALTER mood TYPE varchar(20)",
            "ALTER TABLE orders ALTER mood SET DEFAULT 'new'",
        ),
        models=with_order(_NEW_OLD),
        use=_WRITES_OLD,
    ),
    breaks(
        "rows get a label that the code does not know",
        sql("ALTER TYPE mood ADD VALUE 'late'", "COMMIT", "UPDATE orders SET mood = 'late' WHERE note = 'kept'"),
        models=with_order(_NEW_OLD),
        before=_KEPT,
        use=_READS_KEPT,
    ),
    breaks(
        "rows get a text that the code's enum does not list",
        sql("UPDATE orders SET mood = CASE WHEN note IS NULL THEN 'new' ELSE 'late' END"),
        models=with_order(_PLAIN.format(labels='"new", "old"')),
        before=_KEPT,
        use=_READS_KEPT,
    ),
    safe(
        "rows get another label that the code knows",
        sql("UPDATE orders SET mood = 'old' WHERE note = 'kept'"),
        models=with_order(_PLAIN.format(labels='"new", "old"')),
        before=_KEPT,
        use=_READS_KEPT,
    ),
    safe(
        "rows get another text where the code has no enum",
        sql("UPDATE orders SET status = 'late' WHERE note = 'kept'"),
        before=_KEPT,
        use=_READS_KEPT,
    ),
    breaks(
        "a check no longer allows a label that the code writes",
        sql(
            "ALTER TABLE orders DROP CONSTRAINT ck",
            "ALTER TABLE orders ADD CONSTRAINT ck CHECK (mood IN ('new', 'late'))",
        ),
        models=with_order(_PLAIN.format(labels='"new", "old"')),
        before=sql("ALTER TABLE orders ADD CONSTRAINT ck CHECK (mood IN ('new', 'old'))"),
        use=_WRITES_OLD,
    ),
    safe(
        "a check no longer allows a label that the code has let go of",
        sql(
            "ALTER TABLE orders DROP CONSTRAINT ck",
            "ALTER TABLE orders ADD CONSTRAINT ck CHECK (mood IN ('new', 'late'))",
        ),
        models=with_order(_PLAIN.format(labels='"new", "late"')),
        before=sql("ALTER TABLE orders ADD CONSTRAINT ck CHECK (mood IN ('new', 'late', 'old'))"),
    ),
]

CONSTRAINTS: list[Case] = [
    breaks(
        "a unique key goes that an upsert needs",
        "op.drop_constraint('customers_email_key', 'customers')",
        use=USE + _UPSERT,
    ),
    safe(
        "a unique key goes that no model has",
        "op.drop_constraint('uq', 'orders')",
        before="op.create_unique_constraint('uq', 'orders', ['note'])",
    ),
    safe(
        "a unique index takes over from a unique key",
        "op.create_index('ix', 'customers', ['email'], unique=True)\nop.drop_constraint('customers_email_key', 'customers')",
        use=USE + _UPSERT,
    ),
    breaks(
        "a unique index of some rows takes over",
        sql("CREATE UNIQUE INDEX ix ON customers (email) WHERE id > 0")
        + "\nop.drop_constraint('customers_email_key', 'customers')",
        use=USE + _UPSERT,
    ),
    depends("a unique key comes", "op.create_unique_constraint('uq', 'orders', ['note'])"),
    depends("a check comes", "op.create_check_constraint('ck', 'orders', 'total >= 0')"),
    safe(
        "a check comes on a column that no code names",
        "op.create_check_constraint('ck', 'older', 'id > 0')",
        before=sql("CREATE TABLE older (id integer)"),
    ),
    safe(
        "a check goes",
        "op.drop_constraint('ck', 'orders')",
        before=sql("ALTER TABLE orders ADD CONSTRAINT ck CHECK (id > 0)"),
    ),
    breaks(
        "a check wants a column that no code fills",
        sql("ALTER TABLE orders ADD channel text", "ALTER TABLE orders ADD CHECK (channel IS NOT NULL)"),
    ),
    depends(
        "a foreign key comes",
        sql(
            "CREATE TABLE statuses (code varchar(20) PRIMARY KEY)",
            "INSERT INTO statuses VALUES ('new')",
            "ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (status) REFERENCES statuses",
        ),
    ),
    safe("a foreign key goes", "op.drop_constraint('orders_customer_id_fkey', 'orders')"),
    adds(
        "indexes come",
        "op.create_index('ix', 'orders', ['note', sa.text('placed_at DESC NULLS LAST')])\n"
        "op.create_index('ix_2', 'orders', ['total'], postgresql_include=['status'])\n"
        "op.create_index('ix_3', 'orders', ['note'], postgresql_ops={'note': 'varchar_pattern_ops'})",
    ),
    safe("an index comes and another goes", "op.create_index('ix', 'orders', ['note'])\nop.drop_index('ix', 'orders')"),
]

RIGHTS_AND_TRIGGERS: list[Case] = [
    safe("row security is on for others than the owner", sql("ALTER TABLE orders ENABLE ROW LEVEL SECURITY")),
    breaks(
        "row security is forced without a policy",
        sql("ALTER TABLE orders ENABLE ROW LEVEL SECURITY", "ALTER TABLE orders FORCE ROW LEVEL SECURITY"),
    ),
    safe(
        "row security is forced with a policy for all",
        sql(
            "CREATE POLICY everything ON orders USING (true)",
            "ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE orders FORCE ROW LEVEL SECURITY",
        ),
    ),
    breaks(
        "row security wants a setting that no code makes",
        sql(
            "CREATE POLICY own ON orders USING (customer_id = current_setting('shop.customer')::int)",
            "ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE orders FORCE ROW LEVEL SECURITY",
        ),
    ),
    safe(
        "a trigger writes what happens elsewhere",
        sql(
            "CREATE TABLE audit (what text)",
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN INSERT INTO audit VALUES (TG_OP); RETURN NULL; END $$",
            "CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION note()",
        ),
    ),
    breaks(
        "a trigger refuses what the code does",
        sql(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'orders are kept for ever'; END $$",
            "CREATE TRIGGER refuse BEFORE DELETE ON orders FOR EACH ROW EXECUTE FUNCTION refuse()",
        ),
    ),
    breaks(
        "a trigger names a column that is gone",
        sql("ALTER TABLE orders DROP legacy"),
        before=sql(
            "ALTER TABLE orders ADD legacy text",
            "CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NEW.legacy = NEW.status; RETURN NEW; END $$",
            "CREATE TRIGGER copy BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION copy()",
        ),
    ),
]

_VIEW = """
class Total(Base):
    __tablename__ = "totals"
    customer_id: Mapped[int] = mapped_column(primary_key=True)
    total: Mapped[Decimal]
"""
_CREATE_TOTALS = "CREATE VIEW totals AS SELECT customer_id, sum(total) AS total{more} FROM orders GROUP BY customer_id"
_AS_VIEW = sql("DROP TABLE totals", _CREATE_TOTALS.format(more=""))
_READS_TOTALS = also("assert session.execute(sa.select(Total.total)).scalars().all()")
_JOINED = """
class Animal(Base):
    __tablename__ = "animals"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}

class Dog(Animal):
    __tablename__ = "dogs"
    id: Mapped[int] = mapped_column(sa.ForeignKey("animals.id"), primary_key=True)
    tricks: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "dog"}
"""
_SINGLE = (
    _JOINED.replace('    __tablename__ = "dogs"\n', "")
    .replace('    id: Mapped[int] = mapped_column(sa.ForeignKey("animals.id"), primary_key=True)\n', "")
    .replace("tricks: Mapped[int]", "tricks: Mapped[int | None]")
)
_DOG = "session.add(Dog(tricks=3)); session.flush(); session.expire_all()\nassert session.query(Dog).one().tricks == 3"
_IMPERATIVE = """
table = sa.Table(
    "orders", Base.metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("note", sa.Text), sa.Column("legacy", sa.Text)
)
class Order:
    pass
Base.registry.map_imperatively(Order, table, exclude_properties=["legacy"])
"""
_IMPERATIVE_USE = "order = Order(); order.note = 'x'; session.add(order); session.flush(); session.refresh(order)"
_CORE = 'orders = sa.Table("orders", Base.metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("note", sa.Text))'
_CORE_USE = "session.execute(orders.insert().values(note='x')); session.execute(sa.select(orders)).all()"
SHAPES: list[Case] = [
    breaks(
        "a view that a class maps loses a column",
        sql("DROP VIEW totals", "CREATE VIEW totals AS SELECT customer_id, count(*) AS orders FROM orders GROUP BY 1"),
        models=with_order() + _VIEW,
        before=_AS_VIEW,
        use=_READS_TOTALS,
    ),
    safe(
        "a view that a class maps has one more column",
        sql("DROP VIEW totals", _CREATE_TOTALS.format(more=", count(*) AS orders")),
        models=with_order() + _VIEW,
        before=_AS_VIEW,
        use=_READS_TOTALS,
    ),
    breaks("a column of a subclass with a table goes", "op.drop_column('dogs', 'tricks')", models=_JOINED, use=_DOG),
    safe(
        "a column that no subclass maps goes",
        "op.drop_column('dogs', 'legacy')",
        models=_JOINED,
        use=_DOG,
        before="op.add_column('dogs', sa.Column('legacy', sa.Text))",
    ),
    breaks(
        "a column of a subclass without a table goes", "op.drop_column('animals', 'tricks')", models=_SINGLE, use=_DOG
    ),
    safe(
        "a column that an imperative mapping leaves out goes",
        "op.drop_column('orders', 'legacy')",
        models=_IMPERATIVE,
        use=_IMPERATIVE_USE,
    ),
    breaks(
        "a column of an imperative mapping goes",
        "op.drop_column('orders', 'note')",
        models=_IMPERATIVE,
        use=_IMPERATIVE_USE,
    ),
    breaks("a column of a table without a class goes", "op.drop_column('orders', 'note')", models=_CORE, use=_CORE_USE),
    breaks(
        "a deferred column goes",
        "op.drop_column('orders', 'extra')",
        models=with_order("extra: Mapped[str | None] = mapped_column(sa.Text, deferred=True)"),
        use=also("session.expire_all()", "assert order.extra is None"),
    ),
    breaks(
        "a column that a column property reads goes",
        "op.drop_column('rates', 'rate')",
        models='rates = sa.Table("rates", Base.metadata, sa.Column("id", sa.Integer), sa.Column("rate", sa.Integer))\n'
        + with_order("rate = sa.orm.column_property(sa.select(sa.func.max(rates.c.rate)).scalar_subquery())"),
    ),
]

ALL_CASES = [*COLUMNS, *TABLES, *TYPES, *ENUMS, *CONSTRAINTS, *RIGHTS_AND_TRIGGERS, *SHAPES]
