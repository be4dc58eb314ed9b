"""What the payments system books: accounts, payments, turnover, merchants' receipts and wage runs of a span of days.

Every firm of the economy holds one account here, every other party one as well, so that each payment is a debit of
one account and a credit of another. A row exists from its `booked_at` on.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb

from sources.economy.schema import FIRST_BANK, GOVERNMENT, HOUSEHOLDS, PRIVATE_LENDERS, REST_OF_WORLD
from sources.systems.projection import first_day, make_subjects
from sources.systems.world import files

LATE_SHARE = 0.02  # of payments are booked days after their value date
LATE_DAYS = 9  # at most
LATE_SETTLEMENT_SHARE = 0.01  # of merchants' receipts and wage runs
FULL_REMARK, SHORT_REMARK = 0.35, 0.70  # shares whose remark names the invoice, or at least its last eight digits
DOUBLED_RATIO = 0.002  # of transfers are booked twice by mistake; the second booking is reversed days later
REVERSAL_DAYS = 4  # at most
PERSONS = 2000  # accounts of natural persons, for households and private lenders alike
ACQUIRING = -99  # the account through which cards and QR codes are settled with merchants
SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
# A bank does not know why money passes between a firm and a person: those purposes are its customers' secret.
SHOWN_AS_TRANSFER = ("private_loan", "private_interest", "private_repayment", "dividend", "sundry")
SECOND = 5_000_000_000  # parts the numbers of second bookings and their reversals from all others of a day
UPSERTED = {"account": ("account_number",)}
TABLES = ("account", "payment", "account_day", "pos_settlement", "payroll_run")


def prepare(connection: duckdb.DuckDBPyConnection, world: Path) -> None:
    """Makes the lookups of all spans: accounts by party, invoice and loan numbers, payments that will be undone."""
    make_subjects(connection, world, "payments")
    start = first_day(world)
    connection.execute(f"""
        create temp macro checked(digits) as
            digits || lpad((98 - (digits::HUGEINT * 100) % 97)::VARCHAR, 2, '0');
        create temp macro person_account(id) as
            checked('6217' || lpad(own_number(floor({PERSONS} * noise(id, 'person')), 'person')::VARCHAR, 13, '0'));
        create temp table party_account as
        select firm_id as party_id, checked('3301' || regexp_replace("key", '[^0-9]', '', 'g')) as account_number
        from subject_key
        union all select party_id, checked('6200' || lpad(own_number(party_id, 'outside')::VARCHAR, 13, '0'))
        from (select party_id from outside_party union select {REST_OF_WORLD} union select {GOVERNMENT}
              union select {HOUSEHOLDS} union select {ACQUIRING} union select distinct bank_id from loan
              union select {FIRST_BANK} - range from range(20));
        create temp table unknown as
        select distinct party_id from (select unnest([payer_id, payee_id]) as party_id from payment)
        where party_id not in (select party_id from party_account) and party_id <> {PRIVATE_LENDERS};
        insert into party_account
        select party_id, checked('6299' || lpad(own_number(party_id, 'closed')::VARCHAR, 13, '0')) from unknown;
        create temp table opened as
        select account_number, 'counterparty' as holder_kind, name, uscc from outside_party
            join party_account using (party_id)
        union all select account_number, 'treasury', '国家金库', null from party_account where party_id = {GOVERNMENT}
        union all select account_number, 'abroad', '境外汇款待清算', null from party_account
            where party_id = {REST_OF_WORLD}
        union all select account_number, 'clearing', '代发工资清算户', null from party_account
            where party_id = {HOUSEHOLDS}
        union all select account_number, 'clearing', '收单清算户', null from party_account where party_id = {ACQUIRING}
        union all select account_number, 'counterparty', '已销户', null from party_account
            where party_id in (select party_id from unknown)
        union all select account_number, 'bank', if(party_id = {FIRST_BANK}, '本行贷款户', '他行贷款户' ||
            ({FIRST_BANK} - party_id)), null from party_account where party_id <= {FIRST_BANK}
        union all select distinct
            checked('6217' || lpad(own_number(range, 'person')::VARCHAR, 13, '0')), 'person',
            '{SURNAMES}'[1 + floor({len(SURNAMES)} * noise(range, 'surname'))::INTEGER] || '**', null
            from range({PERSONS});
        create temp table reversed as
        select payment_id, paid_at from payment semi join (select distinct reverses_id from payment
            where reverses_id is not null) undoing on payment.payment_id = undoing.reverses_id;
        create temp table invoice_of as select invoice_id, invoice_number from invoice;
        create temp table own_loan as
        select loan_id, 'LN' || lpad(own_number(loan_id, 'loan')::VARCHAR, 13, '0') as loan_number
        from loan where bank_id = {FIRST_BANK};
        create temp table first_of as select date '{start}' as day;
        create temp table carried as
        select firm_id, cash_fen from {_eve(world)} where day = date '{start}' - 1""")


def _eve(world: Path) -> str:
    """The one look at a table of the truth: a bank knows what its accounts held on the eve of the first day."""
    found = files(world, "firm_day")
    return f"read_parquet('{found}')" if found else "(select 0 as firm_id, 0 as cash_fen, null::DATE as day)"


def select(connection: duckdb.DuckDBPyConnection, first: dt.date, last: dt.date) -> dict[str, str]:
    """One query a table for the rows that appear on the days from `first` to `last`; columns as in the DDL."""
    connection.execute(f"create or replace temp table booked as {_booked(first, last)}")
    between = f"between timestamp '{first}' and timestamp '{last} 23:59:59'"
    return {
        "account": _accounts(between),
        "payment": "select * exclude (payment_id) from booked order by payment_number",
        "account_day": _turnover(),
        "pos_settlement": _pos(first, last, between),
        "payroll_run": _payroll(first, last, between),
    }


def _accounts(between: str) -> str:
    """Versions of accounts: opened, renamed or otherwise changed, closed."""
    return f"""
    with span as (
        select s.*, account_number, closed_on, greatest(from_on, first_of.day) as known_on,
            min(from_on) over (partition by firm_id) as opened_on
        from subject s join party_account on firm_id = party_id join firm using (firm_id), first_of
        qualify row_number() over (partition by firm_id, known_on order by from_on desc) = 1
    ), moment as (
        select firm_id, known_on as day from span
        union select firm_id, closed_on from firm, first_of where closed_on >= first_of.day
    ), version as (
        select span.*, moment.day from moment asof join span
        on moment.firm_id = span.firm_id and moment.day >= span.known_on
    )
    select account_number, 'enterprise' as holder_kind, "key" as client_number, name,
        case when uscc is not null then 'uscc' when registration_number is not null then 'registration_number' end
            as certificate_kind,
        coalesce(uscc, registration_number) as certificate_number, address, phone, opened_on,
        if(closed_on <= version.day, greatest(closed_on, opened_on), null) as closed_on,
        coalesce(cash_fen, 0), office_time(version.day, firm_id, 'account') as updated_at
    from version left join carried using (firm_id) where updated_at {between}
    union all
    select account_number, holder_kind, null, name, if(uscc is null, null, 'uscc'), uscc, null, null, first_of.day,
        null, null, first_of.day::TIMESTAMP
    from opened, first_of where first_of.day::TIMESTAMP {between}"""


def _booked(first: dt.date, last: dt.date) -> str:
    """Payments booked in the span: most within the hour, some days late, undone ones at once, a few by mistake."""
    hidden = ", ".join(f"'{purpose}'" for purpose in SHOWN_AS_TRANSFER)
    span = f">= date '{first}' - {LATE_DAYS + REVERSAL_DAYS + 2} and p.paid_at < date '{last}' + 1"
    number = _number("t.payment_id", "t.booked_at")
    second = f"({number} + {SECOND})"
    undone_at = f"""(t.booked_at::DATE + to_days(1 + floor({REVERSAL_DAYS} * noise(t.payment_id, 'undone'))::INTEGER)
        + to_seconds(36000 + floor(20000 * noise(t.payment_id, 'undone at'))::BIGINT))"""
    return f"""
    with recent as (
        select p.*, noise(payment_id, 'late') as chance, noise(payment_id, 'booking') as delay,
            noise(payment_id, 'remark') as wording, r.payment_id is not null as undone
        from payment p left join reversed r using (payment_id) where p.paid_at {span}
    ), timed as (
        select *, case
            when undone then paid_at
            when chance < {LATE_SHARE} then paid_at::DATE + to_days(1 + floor({LATE_DAYS} * delay)::INTEGER)
                + to_seconds(21600 + floor(7200 * chance / {LATE_SHARE})::BIGINT)
            else paid_at + to_seconds(floor(3600 * delay)::BIGINT) end as booked_at
        from recent
    ), shown as (
        select {number} as payment_number,
            {_account("t.payer_id", "payer", "t.payee_id")} as payer_account,
            {_account("t.payee_id", "payee", "t.payer_id")} as payee_account,
            t.amount_fen, t.paid_at::DATE as value_date, t.paid_at, t.booked_at, t.channel,
            if(t.purpose in ({hidden}), 'transfer', t.purpose) as purpose,
            case when wording < {FULL_REMARK} then '货款 发票号' || invoice_number
                 when wording < {SHORT_REMARK} then '发票' || right(invoice_number, 8)
                 when invoice_number is not null and wording < 0.9 then '货款' end as remark,
            loan_number, {_number("r.payment_id", "r.paid_at")} as reverses_number, t.payment_id,
            {second} as second_number, {undone_at} as undone_at,
            t.channel = 'transfer' and noise(t.payment_id, 'doubled') < {DOUBLED_RATIO} as doubled
        from timed t
            left join party_account payer on payer.party_id = t.payer_id
            left join party_account payee on payee.party_id = t.payee_id
            left join invoice_of using (invoice_id)
            left join own_loan using (loan_id)
            left join reversed r on r.payment_id = t.reverses_id
    ), booking as (
        select * exclude (second_number, undone_at, doubled) from shown
        union all
        select * exclude (second_number, undone_at, doubled)
            replace (second_number as payment_number, booked_at + interval 1 second as booked_at)
        from shown where doubled
        union all
        select {_number("payment_id", "undone_at")} + {SECOND}, payee_account, payer_account, amount_fen,
            undone_at::DATE, undone_at, undone_at, channel, 'reversal', '重复记账冲正', null, second_number, payment_id
        from shown where doubled
    )
    from booking where booked_at >= date '{first}' and booked_at < date '{last}' + 1"""


def _number(payment_id: str, booked_at: str) -> str:
    # The booking day leads, so that rows arrive in the order of the primary key.
    return f"(strftime({booked_at}, '%Y%m%d')::BIGINT * 10000000000 + short_number({payment_id}, 'payment'))"


def _account(party: str, side: str, other: str) -> str:
    # A firm's owner, landlord and private lender are persons, each with one account; wages and cards are cleared.
    return f"""case
        when {party} = {PRIVATE_LENDERS} then person_account({other} * 8)
        when {party} = {HOUSEHOLDS} and t.purpose = 'retail' then (select account_number from party_account
            where party_id = {ACQUIRING})
        when {party} = {HOUSEHOLDS} and t.purpose <> 'wage'
            then person_account({other} * 8 + if(t.purpose in ('dividend', 'capital'), 1, if(t.purpose = 'rent', 2, 3)))
        else {side}.account_number end"""


def _turnover() -> str:
    return """
    with entry as (
        select payer_account as account_number, booked_at::DATE as day, amount_fen as debit_fen, 0 as credit_fen
        from booked
        union all select payee_account, booked_at::DATE, 0, amount_fen from booked
    )
    select account_number, day, sum(debit_fen)::BIGINT, sum(credit_fen)::BIGINT,
        count(*) filter (debit_fen <> 0), count(*) filter (credit_fen <> 0)
    from entry group by account_number, day order by day, account_number"""


def _settled(day: str, key: str) -> str:
    # The next morning; a few rows up to five days later.
    return f"""({day} + 1 + to_days(if(noise({key}, 'late settlement') < {LATE_SETTLEMENT_SHARE},
        1 + floor(4 * noise({key}, 'settlement'))::INTEGER, 0)) + to_seconds(21600 + floor(7200 *
        noise({key}, 'settled'))::BIGINT))"""


def _pos(first: dt.date, last: dt.date, between: str) -> str:
    key = "whole(firm_id || '|' || terminal || '|' || day)"
    return f"""
    select 'T' || lpad(own_number(whole(firm_id || '|' || terminal), 'terminal')::VARCHAR, 13, '0'), day,
        account_number, receipts, payers, amount_fen, fee_fen, top_payer_ratio, night_ratio,
        {_settled("day", key)} as booked_at
    from pos_day join party_account on firm_id = party_id
    where day between date '{first}' - 8 and date '{last}' and booked_at {between}"""


def _payroll(first: dt.date, last: dt.date, between: str) -> str:
    return f"""
    select 'PR' || lpad(own_number(run_id, 'payroll')::VARCHAR, 13, '0'), account_number, period, paid_on, headcount,
        amount_fen, {_settled("paid_on", "run_id")} as booked_at
    from payroll_run join party_account on firm_id = party_id
    where paid_on between date '{first}' - 8 and date '{last}' and booked_at {between}"""
