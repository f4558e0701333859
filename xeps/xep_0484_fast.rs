//! XEP-0484: Fast Authentication Streamlining Tokens (version 0.2.0)
//!
//! Supported: tokens for HT-SHA-256-EXPR, -ENDP and -NONE over TLS, each good for 30 days and
//! renewed when older than a day; invalidation by the client; the count against replays. Tokens go
//! with a change of the password and with the account. No TLS 0-RTT, no HT-SHA-256-UNIQ.

use minidom::Element;
use waxwing_core::Exchange;
use waxwing_core::account::Account;
use waxwing_core::clock::Timestamp;
use waxwing_core::db::{DbError, Migrations, Row, Statement, Value};
use waxwing_core::powers::{
    Attend, Boxed, Extension, Readmit, Readmitted, Specification, TokenLogin, TokenRequest,
};
use waxwing_xmpp::password::ScramHash;
use waxwing_xmpp::sasl::{Failure, Offer, TokenMechanism};

const NS: &str = "urn:xmpp:fast:0";

/// Days for which a token is good. A device that is away for longer needs its password.
const DAYS: i64 = 30;
/// Milliseconds of a day: the age at which a token that is used is renewed.
const DAY: i64 = 86_400_000;
/// Clients of an account that have a token; the one that was not seen for longest loses it.
const MAX_CLIENTS: i64 = 16;
/// Random bytes of a token, as many as the hash has.
const TOKEN_BYTES: usize = 32;
/// No account has this key.
const NOBODY: i64 = 0;
/// Less than every count of a client.
const NO_COUNT: i64 = -1;

/// See the [module](self).
pub struct Fast;

impl Extension for Fast {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0484",
            title: "Fast Authentication Streamlining Tokens",
            version: "0.2.0",
            features: &[],
        }
    }

    /// A client has at most two tokens: the one that it used last, and one that it was given after
    /// that and has not used yet. They are what §5.1 calls the slots `current` and `new`.
    ///
    /// The token is kept as it is, since a proof is an HMAC with it as the key over the data of the
    /// connection: nothing less can check one. (Two hashes could stand for a token without channel
    /// binding, but who reads this table could log in by the others all the same.) Who copies the
    /// table can log in until the token is renewed, expires or is revoked; the password is safe.
    fn migrations(&self) -> Option<Migrations> {
        let steps = &[
            "CREATE TABLE fast_token (account BIGINT NOT NULL, client BLOB NOT NULL, \
             token TEXT NOT NULL, mechanism TEXT NOT NULL, created_at BIGINT NOT NULL, \
             expires_at BIGINT NOT NULL, seen_at BIGINT NOT NULL, used INTEGER NOT NULL, \
             count BIGINT NOT NULL, PRIMARY KEY (account, client, token))",
        ];
        Some(Migrations {
            extension: "fast",
            steps,
        })
    }
}

impl Attend for Fast {
    fn revoked(&self, account: i64) -> Vec<Statement> {
        let delete = "DELETE FROM fast_token WHERE account = ?1";
        vec![Statement::new(delete, vec![account.into()])]
    }

    fn removed(&self, account: &Account) -> Vec<Statement> {
        self.revoked(account.id)
    }
}

impl Readmit for Fast {
    fn feature(&self, offer: &Offer) -> String {
        let mechanisms: String = TokenMechanism::ALL
            .into_iter()
            .filter(|mechanism| mechanism.is_possible(offer))
            .map(|mechanism| format!("<mechanism>{}</mechanism>", mechanism.name()))
            .collect();
        format!("<fast xmlns='{NS}'>{mechanisms}</fast>")
    }

    fn check<'a>(
        &'a self,
        exchange: &'a Exchange,
        login: TokenLogin<'a>,
    ) -> Boxed<'a, Result<Result<Readmitted, Failure>, DbError>> {
        Box::pin(check(exchange, login))
    }

    fn issue<'a>(
        &'a self,
        exchange: &'a Exchange,
        request: TokenRequest<'a>,
    ) -> Boxed<'a, Result<Option<String>, DbError>> {
        Box::pin(issue(exchange, request))
    }
}

/// A row of the table.
struct Token {
    token: String,
    mechanism: TokenMechanism,
    created_at: i64,
    expires_at: i64,
    seen_at: i64,
    used: bool,
    count: i64,
}

/// What `<fast/>` says (§3.4, §3.6).
struct Wish {
    count: Option<i64>,
    invalidate: bool,
}

impl Token {
    /// `None`: of a mechanism that this version does not know.
    fn read(row: &Row) -> Result<Option<Token>, DbError> {
        let Ok(mechanism) = row.text(1)?.parse() else {
            return Ok(None);
        };
        Ok(Some(Token {
            token: row.text(0)?.to_owned(),
            mechanism,
            created_at: row.int(2)?,
            expires_at: row.int(3)?,
            seen_at: row.int(4)?,
            used: row.int(5)? != 0,
            count: row.int(6)?,
        }))
    }
}

impl Wish {
    fn read(request: &Element) -> Option<Wish> {
        let fast = request.get_child("fast", NS)?;
        let invalidate = match fast.attr("invalidate") {
            Some("1" | "true") => true,
            None | Some("0" | "false") => false,
            Some(_) => return None,
        };
        let count = match fast.attr("count") {
            Some(count) => Some(count.parse::<i64>().ok().filter(|count| *count >= 0)?),
            None => None,
        };
        Some(Wish { count, invalidate })
    }
}

async fn check(
    exchange: &Exchange,
    login: TokenLogin<'_>,
) -> Result<Result<Readmitted, Failure>, DbError> {
    // §3.4: a client has to say that it comes with a token.
    let Some(wish) = Wish::read(login.request) else {
        return Ok(Err(Failure::MalformedRequest));
    };
    let proof = login.proof;
    let found = exchange.accounts.find(proof.account().as_str()).await?;
    let (account, client) = (found.map_or(NOBODY, |found| found.id), hash(login.client));
    // Looked up before the token, so that a change of the password in between shows.
    let is_exchanged = wish.invalidate && login.request.has_child("request-token", NS);
    let credential = if is_exchanged {
        let account = proof.account().as_str();
        exchange.accounts.password_credential(account).await?
    } else {
        None
    };
    let select = "SELECT token, mechanism, created_at, expires_at, seen_at, used, count \
                  FROM fast_token WHERE account = ?1 AND client = ?2";
    let key = vec![account.into(), client.clone().into()];
    let rows = exchange.database.query(select, key).await?;
    let known: Vec<Token> = rows
        .iter()
        .filter_map(|row| Token::read(row).transpose())
        .collect::<Result<_, _>>()?;
    let candidates = known
        .iter()
        .map(|token| (token.mechanism, token.token.as_str()));
    let Some((right, additional_data)) = proof.check(candidates) else {
        // §4.2: what was revoked is not here any more. That says nothing of the account: where
        // there is none it is the same.
        return Ok(Err(if known.is_empty() {
            Failure::CredentialsExpired
        } else {
            Failure::NotAuthorized
        }));
    };
    let Some(token) = known.iter().find(|token| token.token == right) else {
        return Ok(Err(Failure::NotAuthorized));
    };
    let now = exchange.now().0;
    if token.expires_at <= now {
        return Ok(Err(Failure::CredentialsExpired));
    }
    // §3.4: what was counted once is a replay.
    if wish.count.is_some_and(|count| count <= token.count) {
        return Ok(Err(Failure::NotAuthorized));
    }
    let statements = take(account, &client, token, &wish, now);
    if !statements.is_empty() {
        let changed = exchange.database.batch(statements).await?;
        if changed.first() != Some(&1) {
            // Somebody else was faster: the same count again, or a revocation.
            return Ok(Err(Failure::NotAuthorized));
        }
    }
    Ok(Ok(Readmitted {
        account,
        additional_data,
        mechanism: token.mechanism,
        token: (!wish.invalidate).then(|| token.token.clone()),
        credential,
        // §3.6: who gives a token up is given no other, unless it asks.
        is_due: !wish.invalidate && now - token.created_at >= DAY,
    }))
}

/// The statements that note the use of a token. The first changes one row if the token is still
/// good. None: there is nothing to note.
fn take(account: i64, client: &[u8], token: &Token, wish: &Wish, now: i64) -> Vec<Statement> {
    if token.used && wish.count.is_none() && !wish.invalidate && now - token.seen_at < DAY {
        return Vec::new();
    }
    let key = || -> Vec<Value> { vec![account.into(), client.into(), token.token.as_str().into()] };
    let with = |value: i64| {
        let mut values = key();
        values.push(now.into());
        values.push(value.into());
        values
    };
    let note = match wish.count {
        Some(count) => Statement::new(
            "UPDATE fast_token SET used = 1, seen_at = ?4, count = ?5 \
             WHERE account = ?1 AND client = ?2 AND token = ?3 AND count < ?5",
            with(count),
        ),
        None => Statement::new(
            "UPDATE fast_token SET used = 1, seen_at = ?4 \
             WHERE account = ?1 AND client = ?2 AND token = ?3",
            [key(), vec![now.into()]].concat(),
        ),
    };
    let end = if wish.invalidate {
        // The user logs out on that machine: a newer one that never arrived goes with it.
        let values = vec![account.into(), client.into()];
        Statement::new(
            "DELETE FROM fast_token WHERE account = ?1 AND client = ?2",
            values,
        )
    } else {
        // §3.5: what came before a token that was used is worth nothing any more.
        let mut values = key();
        values.push(token.expires_at.into());
        Statement::new(
            "DELETE FROM fast_token \
             WHERE account = ?1 AND client = ?2 AND token <> ?3 AND expires_at <= ?4",
            values,
        )
    };
    vec![note, end]
}

async fn issue(exchange: &Exchange, request: TokenRequest<'_>) -> Result<Option<String>, DbError> {
    let asked = request.request.get_child("request-token", NS);
    // §3.2: one of those on offer. Nobody is kept out for having asked for another.
    let asked = asked
        .and_then(|asked| asked.attr("mechanism")?.parse().ok())
        .filter(|mechanism: &TokenMechanism| mechanism.is_possible(request.offer));
    let due = request
        .readmitted
        .filter(|readmitted| readmitted.is_due)
        .map(|readmitted| readmitted.mechanism);
    let Some(mechanism) = asked.or(due) else {
        return Ok(None);
    };
    let token = new_token(exchange);
    let now = exchange.now().0;
    let expires_at = now + DAYS * DAY;
    let statements = insert(&request, &token, mechanism, now, expires_at);
    let changed = exchange.database.batch(statements).await?;
    if changed.last() != Some(&1) {
        return Ok(None);
    }
    let expiry = Timestamp(expires_at).to_xep_0082();
    Ok(Some(format!(
        "<token xmlns='{NS}' expiry='{expiry}' token='{token}'/>"
    )))
}

/// The statements that make a token; the last changes one row if it was made. What was revoked
/// since the client was let in stays so: the token or the password by which it came must still be
/// good, and its account must be allowed to log in.
fn insert(
    request: &TokenRequest<'_>,
    token: &str,
    mechanism: TokenMechanism,
    now: i64,
    expires_at: i64,
) -> Vec<Statement> {
    let client = hash(request.client);
    let after = request
        .readmitted
        .and_then(|readmitted| readmitted.token.as_deref())
        .unwrap_or_default();
    let credential = request.credential;
    let key = || -> Vec<Value> { vec![request.account.into(), client.clone().into()] };
    let values = [
        key(),
        vec![
            token.into(),
            mechanism.name().into(),
            now.into(),
            expires_at.into(),
            NO_COUNT.into(),
            after.into(),
            credential.map_or("", |credential| credential.kind).into(),
            credential.map_or("", |credential| &credential.value).into(),
        ],
    ];
    vec![
        Statement::new(
            "DELETE FROM fast_token WHERE account = ?1 AND expires_at <= ?2",
            vec![request.account.into(), now.into()],
        ),
        // §3.5: one that was given before and never used did not arrive.
        Statement::new(
            "DELETE FROM fast_token WHERE account = ?1 AND client = ?2 AND used = 0",
            key(),
        ),
        Statement::new(
            "DELETE FROM fast_token WHERE account = ?1 AND client IN \
             (SELECT client FROM fast_token WHERE account = ?1 AND client <> ?2 GROUP BY client \
             ORDER BY MAX(seen_at) DESC LIMIT 1000 OFFSET ?3)",
            [key(), vec![(MAX_CLIENTS - 1).into()]].concat(),
        ),
        Statement::new(
            "INSERT INTO fast_token (account, client, token, mechanism, created_at, expires_at, \
             seen_at, used, count) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?5, 0, ?7 \
             WHERE EXISTS (SELECT 1 FROM account WHERE id = ?1 AND disabled = 0) AND ( \
             EXISTS (SELECT 1 FROM fast_token WHERE account = ?1 AND client = ?2 AND token = ?8) \
             OR EXISTS (SELECT 1 FROM credential WHERE account = ?1 AND kind = ?9 AND value = ?10))",
            values.concat(),
        ),
    ]
}

fn new_token(exchange: &Exchange) -> String {
    let mut bytes = [0; TOKEN_BYTES];
    exchange.ids.random(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The key of a client: its id is nobody's business who reads the table.
fn hash(client: &str) -> Vec<u8> {
    ScramHash::Sha256.digest(client.as_bytes())
}
