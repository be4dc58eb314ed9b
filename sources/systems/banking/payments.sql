-- Payments, accounts, merchants' receipts and payroll of the bank. Amounts in fen; times are local (UTC+8).
-- Readers take new rows by `booked_at`, accounts by `updated_at`.

create schema payments;
create schema loading;
comment on schema payments is 'Accounts and what was booked on them';

create table loading.progress (
    system text primary key,
    loaded_through date not null
);

create table payments.account (
    account_number text primary key,
    holder_kind text not null
        check (holder_kind in ('enterprise', 'counterparty', 'bank', 'treasury', 'person', 'clearing', 'abroad')),
    client_number text,
    name text not null,
    certificate_kind text check (certificate_kind in ('uscc', 'registration_number')),
    certificate_number text,
    address text,
    phone text,
    opened_on date not null,
    closed_on date check (closed_on >= opened_on),
    carried_fen bigint,
    updated_at timestamp not null,
    check ((holder_kind = 'enterprise') = (client_number is not null)),
    check ((certificate_kind is null) = (certificate_number is null))
);
comment on table payments.account is 'One row an account, as it stands now; changes show by updated_at';
comment on column payments.account.name is 'Holder as the bank has it; a rename arrives late, persons are masked';
comment on column payments.account.client_number is 'The bank''s own number of an enterprise; null for others';
comment on column payments.account.carried_fen is
    'Balance when these records begin, before the first turnover of account_day; only for enterprises';
create index account_updated_at on payments.account (updated_at);
create index account_client_number on payments.account (client_number);

create table payments.payment (
    payment_number bigint primary key,
    payer_account text not null references payments.account,
    payee_account text not null references payments.account,
    amount_fen bigint not null check (amount_fen <> 0),
    value_date date not null,
    paid_at timestamp not null,
    booked_at timestamp not null,
    channel text,
    purpose text,
    remark text,
    loan_number text,
    reverses_number bigint references payments.payment,
    check (booked_at >= paid_at),
    check (reverses_number <> payment_number)
);
comment on table payments.payment is 'One row a movement between two accounts: the payer is debited, the payee credited';
comment on column payments.payment.booked_at is 'When the row appeared here; up to nine days after value_date';
comment on column payments.payment.remark is 'What the payer wrote: an invoice number, its last eight digits, or nothing of use';
comment on column payments.payment.reverses_number is 'A reversal is its own row, runs the other way, and names the payment it undoes';
comment on column payments.payment.loan_number is 'Loan of this bank that was paid out or paid back';
create index payment_booked_at on payments.payment (booked_at);

create table payments.account_day (
    account_number text not null references payments.account,
    day date not null,
    debit_fen bigint not null,
    credit_fen bigint not null,
    debits integer not null check (debits >= 0),
    credits integer not null check (credits >= 0),
    primary key (day, account_number)
);
comment on table payments.account_day is 'Turnover of an account by the day of booking, made at the day''s end';
comment on column payments.account_day.debit_fen is 'Booked out of the account';
comment on column payments.account_day.credit_fen is 'Booked into the account';

create view payments.account_balance as
select account_number, day,
    carried_fen + sum(credit_fen - debit_fen) over (partition by account_number order by day) as balance_fen
from payments.account_day join payments.account using (account_number)
where holder_kind = 'enterprise';
comment on view payments.account_balance is 'Closing balance of an enterprise''s account on each day with a booking';

create table payments.pos_settlement (
    terminal_number text not null,
    day date not null,
    account_number text not null references payments.account,
    receipts integer not null check (receipts >= 0),
    payers integer not null check (payers >= 0),
    amount_fen bigint not null,
    fee_fen bigint not null,
    top_payer_ratio real check (top_payer_ratio between 0 and 1.0001),
    night_ratio real check (night_ratio between 0 and 1.0001),
    booked_at timestamp not null,
    primary key (terminal_number, day)
);
comment on table payments.pos_settlement is 'Card and QR receipts of a terminal and day, settled the next morning or later';
create index pos_settlement_booked_at on payments.pos_settlement (booked_at);

create table payments.payroll_run (
    run_number text primary key,
    account_number text not null references payments.account,
    period date not null,
    paid_on date not null,
    headcount integer not null check (headcount >= 0),
    amount_fen bigint not null,
    booked_at timestamp not null
);
comment on table payments.payroll_run is 'One row a wage run; period is the first day of the month it pays for';
create index payroll_run_booked_at on payments.payroll_run (booked_at);

grant usage on schema payments to puller;
grant select on all tables in schema payments to puller;
