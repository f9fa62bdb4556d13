//! One statement for both databases: its text with `$1` placeholders, its values, and rows that are read
//! the same way whichever database gave them. It knows no table and decides nothing.

use sqlx::postgres::{PgRow, Postgres};
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _};

use super::transaction::{Open, Transaction};

/// What a placeholder stands for. Everything that is kept is text or a 64-bit number.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(Some(text.clone()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

/// A statement on its way.
#[derive(Clone, Debug)]
pub(super) struct Query {
    sql: String,
    values: Vec<Value>,
}

/// A statement that stands in our code.
pub(super) fn query(sql: &'static str) -> Query {
    assembled(sql.to_owned())
}

/// A statement that was put together from pieces that stand in our code. What a caller said goes in
/// through [`Query::bind`] and no other way.
pub(super) fn assembled(sql: String) -> Query {
    Query {
        sql,
        values: Vec::new(),
    }
}

/// Gives sqlx the statement with its values. The two databases share no trait that would let one
/// function do it.
macro_rules! prepared {
    ($query:expr) => {{
        let mut prepared = sqlx::query(AssertSqlSafe($query.sql));
        for value in $query.values {
            prepared = match value {
                Value::Text(text) => prepared.bind(text),
                Value::Number(number) => prepared.bind(number),
            };
        }
        prepared
    }};
}

impl Query {
    /// What the next placeholder stands for.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Does it; says how many rows it changed.
    pub(super) async fn execute(self, tx: &mut Transaction) -> Result<u64, sqlx::Error> {
        Ok(match &mut tx.open {
            Open::Sqlite(tx) => prepared!(self).execute(&mut **tx).await?.rows_affected(),
            Open::Postgres(tx) => prepared!(self).execute(&mut **tx).await?.rows_affected(),
        })
    }

    /// The rows that it finds.
    pub(super) async fn fetch_all<T: FromRow>(
        self,
        tx: &mut Transaction,
    ) -> Result<Vec<T>, sqlx::Error> {
        match &mut tx.open {
            Open::Sqlite(tx) => read_all(prepared!(self).fetch_all(&mut **tx).await?, Row::Sqlite),
            Open::Postgres(tx) => {
                read_all(prepared!(self).fetch_all(&mut **tx).await?, Row::Postgres)
            }
        }
    }

    /// The one row that it finds, if it finds one.
    pub(super) async fn fetch_optional<T: FromRow>(
        self,
        tx: &mut Transaction,
    ) -> Result<Option<T>, sqlx::Error> {
        let row = match &mut tx.open {
            Open::Sqlite(tx) => prepared!(self)
                .fetch_optional(&mut **tx)
                .await?
                .map(Row::Sqlite),
            Open::Postgres(tx) => prepared!(self)
                .fetch_optional(&mut **tx)
                .await?
                .map(Row::Postgres),
        };
        row.as_ref().map(T::from_row).transpose()
    }

    /// The one row that there must be.
    pub(super) async fn fetch_one<T: FromRow>(
        self,
        tx: &mut Transaction,
    ) -> Result<T, sqlx::Error> {
        let found = self.fetch_optional(tx).await?;
        found.ok_or(sqlx::Error::RowNotFound)
    }
}

fn read_all<R, T: FromRow>(rows: Vec<R>, wrap: fn(R) -> Row) -> Result<Vec<T>, sqlx::Error> {
    let rows = rows.into_iter();
    rows.map(|row| T::from_row(&wrap(row))).collect()
}

/// One row of either database.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What can stand in a column.
pub(super) trait Cell:
    for<'r> sqlx::Decode<'r, Sqlite>
    + sqlx::Type<Sqlite>
    + for<'r> sqlx::Decode<'r, Postgres>
    + sqlx::Type<Postgres>
{
}

impl Cell for String {}
impl Cell for i64 {}
impl Cell for Option<String> {}
impl Cell for Option<i64> {}

impl Row {
    /// The column of that name.
    pub(super) fn get<T: Cell>(&self, column: &str) -> Result<T, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    /// The column at that place, from 0.
    fn at<T: Cell>(&self, place: usize) -> Result<T, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(place),
            Self::Postgres(row) => row.try_get(place),
        }
    }

    /// The column of that name, which holds a count or a time: never below 0.
    pub(super) fn count(&self, column: &str) -> Result<u64, sqlx::Error> {
        Ok(self.get::<i64>(column)?.max(0) as u64)
    }
}

/// What a row is read as.
pub(super) trait FromRow: Sized {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error>;
}

macro_rules! one_column {
    ($($kind:ty),*) => {$(
        impl FromRow for $kind {
            fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
                row.at(0)
            }
        }
    )*};
}

one_column!(String, i64, Option<String>, Option<i64>);

macro_rules! columns {
    ($($name:ident $place:literal),*) => {
        impl<$($name: Cell),*> FromRow for ($($name,)*) {
            fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
                Ok(($(row.at::<$name>($place)?,)*))
            }
        }
    };
}

columns!(A 0, B 1);
columns!(A 0, B 1, C 2);
columns!(A 0, B 1, C 2, D 3);
columns!(A 0, B 1, C 2, D 3, E 4);
columns!(A 0, B 1, C 2, D 3, E 4, F 5);
