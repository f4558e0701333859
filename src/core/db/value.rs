//! What goes into a statement and what comes out of a query, as owned values.

use bytes::Bytes;

use super::DbError;

/// One value of a parameter or a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// SQL `NULL`.
    Null,
    /// A 64-bit integer; a boolean is 0 or 1.
    Int(i64),
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Blob(Bytes),
}

impl Value {
    /// Bytes this value takes in a queue, for its bound.
    pub(super) fn weight(&self) -> usize {
        match self {
            Value::Null | Value::Int(_) => 0,
            Value::Text(text) => text.len(),
            Value::Blob(bytes) => bytes.len(),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Int(_) => "integer",
            Value::Text(_) => "text",
            Value::Blob(_) => "blob",
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Value::Int(value.into())
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Value::Int(value.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Int(value.into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value)
    }
}

impl From<Bytes> for Value {
    fn from(value: Bytes) -> Self {
        Value::Blob(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Value::Blob(value.into())
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Value::Blob(Bytes::copy_from_slice(value))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// One SQL statement with its parameters.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The text, with `?1`, `?2` … where the parameters go. It is the key of the cache of prepared
    /// statements, so it is written in the program and never put together from input.
    pub sql: &'static str,
    /// The parameters, `?1` first; of one that is carried out several times, one set after the other.
    pub params: Vec<Value>,
    /// How many times it is carried out.
    times: usize,
}

impl Statement {
    /// A statement and its parameters, `?1` first.
    #[must_use]
    pub fn new(sql: &'static str, params: impl Into<Vec<Value>>) -> Self {
        Statement {
            sql,
            params: params.into(),
            times: 1,
        }
    }

    /// A statement that is carried out once for each of these sets of parameters, in their order.
    ///
    /// For rows of which there are many this costs less than one statement over several rows: SQLite
    /// copies each page that such a one changes, for it might fail half-way.
    #[must_use]
    pub fn each<const N: usize>(
        sql: &'static str,
        sets: impl IntoIterator<Item = [Value; N]>,
    ) -> Self {
        let params: Vec<Value> = sets.into_iter().flatten().collect();
        let times = params.len() / N;
        Statement { sql, params, times }
    }

    /// Whether it is atomic by itself: carried out several times it may fail half-way.
    pub(super) fn is_atomic(&self) -> bool {
        self.times <= 1
    }

    /// The sets of parameters.
    pub(super) fn sets(&self) -> impl Iterator<Item = &[Value]> {
        let size = self.params.len().checked_div(self.times).unwrap_or(0);
        (0..self.times).map(move |set| &self.params[set * size..(set + 1) * size])
    }

    /// Bytes this statement takes in a queue, for its bound.
    pub(super) fn weight(&self) -> usize {
        64 * self.times.max(1) + self.params.iter().map(Value::weight).sum::<usize>()
    }

    /// Bytes by which it may make the log grow: each time it is carried out it may change a page that
    /// nothing else changes.
    pub(super) fn grows_log_by(&self) -> usize {
        let pages = if self.times > 1 { self.times } else { 0 };
        pages * 4096 + self.weight()
    }
}

/// One row of a result. Columns are counted from 0; asking for a column that is not there, or that
/// holds another type, is [`DbError::Column`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(Vec<Value>);

impl Row {
    /// A row of these columns.
    #[must_use]
    pub fn new(values: Vec<Value>) -> Self {
        Row(values)
    }

    /// Column `index` as an integer.
    pub fn int(&self, index: usize) -> Result<i64, DbError> {
        match self.0.get(index) {
            Some(Value::Int(value)) => Ok(*value),
            other => Err(mismatch(index, "integer", other)),
        }
    }

    /// Column `index` as an integer, `None` where it is `NULL`.
    pub fn opt_int(&self, index: usize) -> Result<Option<i64>, DbError> {
        if self.is_null(index) {
            Ok(None)
        } else {
            self.int(index).map(Some)
        }
    }

    /// Column `index` as a boolean: every integer but 0 is true.
    pub fn bool(&self, index: usize) -> Result<bool, DbError> {
        self.int(index).map(|value| value != 0)
    }

    /// Column `index` as text.
    pub fn text(&self, index: usize) -> Result<&str, DbError> {
        match self.0.get(index) {
            Some(Value::Text(value)) => Ok(value),
            other => Err(mismatch(index, "text", other)),
        }
    }

    /// Column `index` as text, `None` where it is `NULL`.
    pub fn opt_text(&self, index: usize) -> Result<Option<&str>, DbError> {
        if self.is_null(index) {
            Ok(None)
        } else {
            self.text(index).map(Some)
        }
    }

    /// Column `index` as bytes; shares them with the row.
    pub fn blob(&self, index: usize) -> Result<Bytes, DbError> {
        match self.0.get(index) {
            Some(Value::Blob(value)) => Ok(value.clone()),
            other => Err(mismatch(index, "blob", other)),
        }
    }

    /// Column `index` as bytes, `None` where it is `NULL`.
    pub fn opt_blob(&self, index: usize) -> Result<Option<Bytes>, DbError> {
        if self.is_null(index) {
            Ok(None)
        } else {
            self.blob(index).map(Some)
        }
    }

    /// All columns, for taking them apart without a copy.
    #[must_use]
    pub fn into_values(self) -> Vec<Value> {
        self.0
    }

    fn is_null(&self, index: usize) -> bool {
        matches!(self.0.get(index), Some(Value::Null))
    }
}

fn mismatch(index: usize, wanted: &'static str, found: Option<&Value>) -> DbError {
    DbError::Column {
        index,
        wanted,
        found: found.map_or("nothing", Value::kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_by_their_type() {
        let row = Row::new(vec![
            7.into(),
            "text".into(),
            Value::Null,
            vec![1u8, 2].into(),
        ]);
        assert_eq!(row.int(0), Ok(7));
        assert_eq!(row.bool(0), Ok(true));
        assert_eq!(row.text(1), Ok("text"));
        assert_eq!(row.opt_text(2), Ok(None));
        assert_eq!(row.opt_int(2), Ok(None));
        assert_eq!(row.opt_blob(2), Ok(None));
        assert_eq!(row.blob(3).as_deref(), Ok(&[1u8, 2][..]));
    }

    #[test]
    fn a_wrong_or_missing_column_is_an_error() {
        let row = Row::new(vec![7.into()]);
        let wrong = DbError::Column {
            index: 0,
            wanted: "text",
            found: "integer",
        };
        assert_eq!(row.text(0), Err(wrong.clone()));
        assert_eq!(row.opt_text(0), Err(wrong));
        let missing = DbError::Column {
            index: 1,
            wanted: "integer",
            found: "nothing",
        };
        assert_eq!(row.opt_int(1), Err(missing));
    }

    #[test]
    fn an_option_is_null_or_its_value() {
        assert_eq!(Value::from(None::<i64>), Value::Null);
        assert_eq!(Value::from(Some("x")), Value::Text("x".to_owned()));
    }
}
