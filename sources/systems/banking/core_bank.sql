-- The core bank: clients, applications, loans and their security at this bank. Amounts in fen; times are local (UTC+8).
-- Every insert and update is also a row of `change_log`, in order; the other tables show what holds now.

create schema core_bank;
create schema loading;
comment on schema core_bank is 'Lending of this bank alone';

create table loading.progress (
    system text primary key,
    loaded_through date not null
);

create table core_bank.change_log (
    change_id bigint primary key,
    table_name text not null,
    op char(1) not null check (op in ('I', 'U')),
    row_key text not null,
    changed_at timestamp not null,
    "row" jsonb not null
);
comment on table core_bank.change_log is 'All changes in order; "row" is the whole row as it stood after the change';
create index change_log_row on core_bank.change_log (table_name, row_key);
create index change_log_changed_at on core_bank.change_log (changed_at);

create table core_bank.customer (
    customer_number text primary key,
    name text not null,
    uscc text,
    registration_number text,
    industry_code text,
    address text,
    phone text,
    customer_since date not null,
    updated_at timestamp not null
);
comment on table core_bank.customer is 'Who applied, borrows or guarantees here; names as the bank holds them';

create table core_bank.customer_account (
    account_number text primary key,
    customer_number text not null references core_bank.customer,
    linked_on date not null,
    updated_at timestamp not null
);
comment on table core_bank.customer_account is 'Settlement accounts of clients, by their number in the payments system';

create table core_bank.application (
    application_number text primary key,
    customer_number text not null references core_bank.customer,
    product text not null,
    applied_on date not null,
    amount_fen bigint not null check (amount_fen > 0),
    purpose text,
    device_id text,
    contact_phone text,
    decided_on date check (decided_on >= applied_on),
    decision text,
    reason text,
    updated_at timestamp not null,
    check (decided_on is not null or decision is null)
);
comment on table core_bank.application is 'Applications; decision and reason stay empty until decided_on';

create table core_bank.loan (
    loan_number text primary key,
    application_number text references core_bank.application,
    customer_number text not null references core_bank.customer,
    product text not null,
    principal_fen bigint not null check (principal_fen > 0),
    rate_ratio double precision not null check (rate_ratio >= 0),
    started_on date not null,
    matures_on date not null check (matures_on >= started_on),
    repayment text,
    security text,
    renews_number text references core_bank.loan,
    closed_on date check (closed_on >= started_on),
    status text not null,
    updated_at timestamp not null
);
comment on table core_bank.loan is 'Loans; status is open until the day a loan is closed';
comment on column core_bank.loan.rate_ratio is 'Interest a year as a share of principal';
comment on column core_bank.loan.renews_number is 'The loan that this one pays off';
create index loan_customer on core_bank.loan (customer_number);

create table core_bank.schedule (
    loan_number text not null references core_bank.loan,
    number integer not null,
    due_on date not null,
    principal_fen bigint not null,
    interest_fen bigint not null,
    updated_at timestamp not null,
    primary key (loan_number, number)
);
comment on table core_bank.schedule is 'What falls due when, fixed at the pay-out';

create table core_bank.repayment (
    repayment_number text primary key,
    loan_number text not null references core_bank.loan,
    number integer,
    paid_on date not null,
    principal_fen bigint not null,
    interest_fen bigint not null,
    updated_at timestamp not null
);
comment on table core_bank.repayment is 'What was paid, against which instalment';
create index repayment_loan on core_bank.repayment (loan_number);

create table core_bank.month_status (
    loan_number text not null references core_bank.loan,
    month date not null,
    balance_fen bigint not null,
    days_past_due integer not null check (days_past_due >= 0),
    class text not null,
    updated_at timestamp not null,
    primary key (loan_number, month)
);
comment on table core_bank.month_status is 'Balance, days past due and five-category class at a month''s end, made the next day';

create table core_bank.collateral (
    collateral_number text primary key,
    loan_number text not null references core_bank.loan,
    kind text not null,
    object text,
    value_fen bigint,
    from_on date not null,
    to_on date,
    updated_at timestamp not null
);
comment on table core_bank.collateral is 'Security of a loan; object is the number under which its register holds it';

create table core_bank.guarantee (
    guarantee_number text primary key,
    loan_number text not null references core_bank.loan,
    guarantor_number text not null references core_bank.customer,
    amount_fen bigint not null check (amount_fen > 0),
    from_on date not null,
    to_on date,
    called_on date,
    paid_fen bigint,
    contact_phone text,
    updated_at timestamp not null
);
comment on table core_bank.guarantee is 'Who stands in for a loan here; call and payment show from called_on';

do $$
declare name text;
begin
    for name in select tablename from pg_tables where schemaname = 'core_bank' and tablename <> 'change_log' loop
        execute format('create index %I on core_bank.%I (updated_at)', name || '_updated_at', name);
    end loop;
end $$;

grant usage on schema core_bank to puller;
grant select on all tables in schema core_bank to puller;
