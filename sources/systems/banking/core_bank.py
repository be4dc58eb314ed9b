"""What the core bank records: clients, applications, loans and security at this bank, as versions of rows.

A version is a whole row as it stood from `updated_at` on. The state tables keep the last one, `change_log` all.
Nothing is told before its day: no decision, closing, status, release or call.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb

from sources.economy.schema import FIRST_BANK
from sources.systems.banking import payments
from sources.systems.projection import make_subjects

# In the order in which one refers to the other.
UPSERTED = {
    "customer": ("customer_number",),
    "customer_account": ("account_number",),
    "application": ("application_number",),
    "loan": ("loan_number",),
    "schedule": ("loan_number", "number"),
    "repayment": ("repayment_number",),
    "month_status": ("loan_number", "month"),
    "collateral": ("collateral_number",),
    "guarantee": ("guarantee_number",),
}
CLIENT_AT = "(since + interval 510 minutes)"  # half past eight: before anything else of that day
# By kind of security: how its own register writes the number.
REGISTERS = {"plot": ("DK", "plot"), "machine": ("EQ", "equipment"), "receipt": ("WR", "receipt")}


def prepare(connection: duckdb.DuckDBPyConnection, world: Path) -> None:
    """Makes the lookups of all spans: this bank's loans and applications, its clients and their accounts."""
    payments.prepare(connection, world)
    connection.execute("create temp table account_of as from party_account")
    make_subjects(connection, world, "core_bank")
    ours = f"bank_id = {FIRST_BANK}"
    connection.execute(f"""
        create temp macro numbered(prefix, id, kind) as prefix || lpad(own_number(id, kind)::VARCHAR, 13, '0');
        create temp table our_loan as
        select *, numbered('LN', loan_id, 'loan') as loan_number, office_time(started_on, loan_id, 'loan') as loan_at
        from loan where {ours};
        create temp table our_application as
        select *, numbered('AP', application_id, 'application') as application_number
        from loan_application where {ours};
        create temp table client as
        with relation as (
            select firm_id, applied_on as day from our_application
            union all select firm_id, started_on from our_loan
            union all select guarantor_id, g.from_on from guarantee g join our_loan using (loan_id)
        )
        select firm_id, "key" as customer_number, min(relation.day) as since
        from relation join subject_key using (firm_id) group by all;
        create temp table terms as
        select loan_id, number, due_on, principal_fen, interest_fen from loan_schedule semi join our_loan
        using (loan_id)""")


def select(connection: duckdb.DuckDBPyConnection, first: dt.date, last: dt.date) -> dict[str, str]:
    """One query a table for the versions that begin on the days from `first` to `last`; columns as in the DDL."""
    between = f"between timestamp '{first}' and timestamp '{last} 23:59:59'"
    queries = {
        "customer": _customers(),
        "customer_account": f"""select account_number, customer_number, since as linked_on, {CLIENT_AT}
            from client join account_of on party_id = firm_id""",
        "application": _applications(),
        "loan": _loans(),
        "schedule": """select loan_number, number, due_on, terms.principal_fen, interest_fen,
            loan_at from terms join our_loan using (loan_id)""",
        "repayment": """select numbered('RP', repayment_id, 'repayment'), loan_number, number, paid_on,
            r.principal_fen, interest_fen, greatest(office_time(paid_on, repayment_id, 'repayment'), loan_at)
            from loan_repayment r join our_loan using (loan_id)""",
        "month_status": """select loan_number, last_day(month) as month, balance_fen, days_past_due, class,
            last_day(month) + 1 + to_seconds(7200 + floor(3600 * noise(loan_id, 'status'))::BIGINT)
            from loan_status join our_loan using (loan_id)""",
        "collateral": _collateral(),
        "guarantee": _guarantees(),
    }
    return {name: _versions(query, COLUMNS[name], UPSERTED[name], between) for name, query in queries.items()}


def _versions(query: str, columns: list[str], key: tuple[str, ...], between: str) -> str:
    """The versions that begin in a span; of those from before the world's first day only the last, on that day."""
    kept = ", ".join(columns[:-1])
    return f"""
    select {kept}, greatest(updated_at, first_of.day::TIMESTAMP) as seen_at
    from ({query}) version({", ".join(columns)}), first_of where seen_at {between}
    qualify row_number() over (partition by {", ".join(key)}, seen_at order by updated_at desc) = 1"""


COLUMNS = {
    name: columns.split()
    for name, columns in {
        "customer": "customer_number name uscc registration_number industry_code address phone customer_since "
        "updated_at",
        "customer_account": "account_number customer_number linked_on updated_at",
        "application": "application_number customer_number product applied_on amount_fen purpose device_id "
        "contact_phone decided_on decision reason updated_at",
        "loan": "loan_number application_number customer_number product principal_fen rate_ratio started_on matures_on "
        "repayment security renews_number closed_on status updated_at",
        "schedule": "loan_number number due_on principal_fen interest_fen updated_at",
        "repayment": "repayment_number loan_number number paid_on principal_fen interest_fen updated_at",
        "month_status": "loan_number month balance_fen days_past_due class updated_at",
        "collateral": "collateral_number loan_number kind object value_fen from_on to_on updated_at",
        "guarantee": "guarantee_number loan_number guarantor_number amount_fen from_on to_on called_on paid_fen "
        "contact_phone updated_at",
    }.items()
}


def finish(cursor) -> None:
    """Writes the span's versions to `change_log`, in the order of their time; numbers go on without a gap."""
    parts = " union all ".join(
        f"""select {order} as part, '{table}' as table_name, concat_ws('|', {", ".join(key)}) as row_key,
            updated_at as changed_at, to_jsonb(v) - 'updated_at' as "row" from new_{table} v"""
        for order, (table, key) in enumerate(UPSERTED.items())
    )
    cursor.execute(f"""
        insert into core_bank.change_log
        select (select coalesce(max(change_id), 0) from core_bank.change_log)
                + row_number() over (order by changed_at, part, row_key),
            table_name,
            case when row_number() over (partition by table_name, row_key order by changed_at) > 1
                or exists (select from core_bank.change_log past
                    where past.table_name = v.table_name and past.row_key = v.row_key) then 'U' else 'I' end,
            row_key, changed_at, "row"
        from ({parts}) v""")


def _customers() -> str:
    """A client from the first dealing on; later spans of its name are new versions."""
    return f"""
    select customer_number, name, uscc, registration_number, industry_code, s.address, s.phone, since,
        {CLIENT_AT.replace("since", "greatest(from_on, since)")}
    from client join subject s using (firm_id) join (select firm_id, industry_code from firm) using (firm_id)
    qualify row_number() over (partition by firm_id, greatest(from_on, since) order by from_on desc) = 1"""


def _applications() -> str:
    common = "application_number, customer_number, product, applied_on, amount_fen, purpose, device_id, contact_phone"
    return f"""
    select {common}, null, null, null, office_time(applied_on, application_id, 'application')
    from our_application join client using (firm_id)
    union all
    select {common}, decided_on, decision, reason, greatest(office_time(decided_on, application_id, 'decision'),
        office_time(applied_on, application_id, 'application') + interval 1 second)
    from our_application join client using (firm_id) where decided_on is not null"""


def _loans() -> str:
    common = """l.loan_number, application_number, customer_number, l.product, l.principal_fen, l.rate_ratio,
        l.started_on, l.matures_on, l.repayment, l.security, before.loan_number"""
    joined = """our_loan l join client using (firm_id)
        left join (select application_id, application_number from our_application) using (application_id)
        left join our_loan before on before.loan_id = l.renews_id"""
    return f"""
    select {common}, null, 'open', l.loan_at from {joined}
    union all
    select {common}, l.closed_on, l.status, greatest(office_time(l.closed_on, l.loan_id, 'closing'),
        l.loan_at + interval 1 second) from {joined} where l.closed_on is not null"""


def _collateral() -> str:
    """Security by the number under which its own register holds it, never by the economy's."""
    registers = " ".join(
        f"when kind = '{kind}' then numbered('{prefix}', object::BIGINT, '{register}')"
        for kind, (prefix, register) in REGISTERS.items()
    )
    shown = f"case when not regexp_full_match(object, '[0-9]+') then object {registers} else object end"
    start = "greatest(office_time(from_on, collateral_id, 'collateral'), loan_at)"
    common = f"numbered('CL', collateral_id, 'collateral'), loan_number, kind, {shown}, value_fen, from_on"
    return f"""
    select {common}, null, {start}
    from collateral join our_loan using (loan_id)
    union all
    select {common}, to_on, greatest(office_time(to_on, collateral_id, 'release'),
        {start} + interval 1 second)
    from collateral join our_loan using (loan_id) where to_on is not null"""


def _guarantees() -> str:
    """Versions at the signing, at the call, and at the end."""
    common = "numbered('GT', guarantee_id, 'guarantee'), loan_number, customer_number, amount_fen, from_on"
    joined = """(select g.* from guarantee g semi join our_loan using (loan_id)) g
        join (select loan_id, loan_number, loan_at from our_loan) using (loan_id)
        join client on client.firm_id = guarantor_id"""
    start = "greatest(office_time(from_on, guarantee_id, 'guarantee'), loan_at)"
    return f"""
    select {common}, null, null, null, contact_phone, {start} from {joined}
    union all
    select {common}, if(to_on <= called_on, to_on, null), called_on, paid_fen, contact_phone,
        greatest(office_time(called_on, guarantee_id, 'call'), {start} + interval 1 second)
    from {joined} where called_on is not null
    union all
    select {common}, to_on, if(called_on <= to_on, called_on, null), if(called_on <= to_on, paid_fen, null),
        contact_phone, greatest(office_time(to_on, guarantee_id, 'release'), {start} + interval 2 seconds)
    from {joined} where to_on is not null and (called_on is null or to_on <> called_on)"""
