//! Pages of archives.

use super::*;

/// Account 1 talks to 2 and 3 in turn, each of them answers; among it, messages between 2 and 3.
async fn talk(mailbox: &Mailbox) -> Vec<i64> {
    let mut ids = Vec::new();
    for n in 0..20 {
        for (from, to) in [(1, 2), (2, 1), (2, 3), (1, 3), (3, 1)] {
            let row = NewRow {
                received_at_ms: 1000 + n,
                ..chat(from, to, &format!("{from}>{to} {n}"))
            };
            let id = put(mailbox, row);
            if from == 1 || to == 1 {
                ids.push(id);
            }
        }
    }
    ids
}

async fn page(mailbox: &Mailbox, filter: Filter, backwards: bool, limit: usize) -> Vec<i64> {
    let page = mailbox.archive_page(1, &filter, backwards, limit).await;
    page.unwrap().iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn an_archive_is_paged_both_ways() {
    for move_at in [1, 37, 1000] {
        let directory = TempDir::new().unwrap();
        let (database, mailbox) = open(directory.path(), move_at).await;
        let ids = talk(&mailbox).await;
        settle(&database).await;
        let all = Filter::default();
        assert_eq!(page(&mailbox, all, false, EVERYTHING).await, ids);
        assert_eq!(page(&mailbox, all, true, EVERYTHING).await, ids);
        assert_eq!(page(&mailbox, all, false, 7).await, ids[..7]);
        assert_eq!(page(&mailbox, all, true, 7).await, ids[73..]);
        assert_eq!(page(&mailbox, all, true, 0).await, []);
        let middle = Filter {
            after: ids[9],
            before: ids[40],
            ..all
        };
        assert_eq!(page(&mailbox, middle, false, 5).await, ids[10..15]);
        assert_eq!(page(&mailbox, middle, true, 5).await, ids[35..40]);
        assert_eq!(page(&mailbox, middle, true, 100).await, ids[10..40]);
        assert_eq!(mailbox.archive_count(1, &middle, 100).await, Ok(30));
        assert_eq!(mailbox.archive_count(1, &middle, 12).await, Ok(12));
        assert_eq!(mailbox.archive_count(1, &all, u64::MAX).await, Ok(80));
        let second = Filter {
            after: id_at(1001) - 1,
            before: id_at(1002),
            ..all
        };
        assert_eq!(page(&mailbox, second, false, 100).await, ids[4..8]);
        database.close().await;
    }
}

#[tokio::test]
async fn an_archive_is_paged_by_peer() {
    for move_at in [1, 37, 1000] {
        let directory = TempDir::new().unwrap();
        let (database, mailbox) = open(directory.path(), move_at).await;
        let ids = talk(&mailbox).await;
        settle(&database).await;
        let with = |peer| Filter {
            with: Some(peer_hash(&bare(peer))),
            ..Filter::default()
        };
        // Of four messages, two are to and from account 3.
        let third: Vec<i64> = ids.chunks(4).flat_map(|turn| turn[2..].to_vec()).collect();
        assert_eq!(page(&mailbox, with(3), false, EVERYTHING).await, third);
        assert_eq!(page(&mailbox, with(3), true, 3).await, third[37..]);
        let from = Filter {
            after: third[10],
            before: third[20],
            ..with(3)
        };
        assert_eq!(page(&mailbox, from, false, 4).await, third[11..15]);
        assert_eq!(page(&mailbox, from, true, 4).await, third[16..20]);
        assert_eq!(mailbox.archive_count(1, &from, 100).await, Ok(9));
        assert_eq!(mailbox.archive_count(1, &with(3), 30).await, Ok(30));
        assert_eq!(page(&mailbox, with(4), false, 10).await, []);
        database.close().await;
    }
}

/// By bytes, with and without a peer: nothing is left out, and what does not fit is not read.
#[tokio::test]
async fn an_archive_is_read_in_pieces() {
    for move_at in [1, 37, 1000] {
        let directory = TempDir::new().unwrap();
        let (database, mailbox) = open(directory.path(), move_at).await;
        let ids = talk(&mailbox).await;
        settle(&database).await;
        let third = Some(peer_hash(&bare(3)));
        let all_of_third: Vec<i64> = ids.chunks(4).flat_map(|turn| turn[2..].to_vec()).collect();
        for (with, wanted) in [(None, &ids), (third, &all_of_third)] {
            for backwards in [false, true] {
                let mut filter = Filter {
                    with,
                    ..Filter::default()
                };
                let mut found = Vec::new();
                loop {
                    let piece = mailbox.archive_piece(1, &filter, backwards, 9, 25).await;
                    let Piece { rows, is_last } = piece.unwrap();
                    let bytes: usize = rows.iter().map(|row| row.body.len()).sum();
                    assert!(rows.len() == 1 || bytes <= 25);
                    assert!(rows.len() < 9, "{bytes}");
                    let (first, last) = (rows[0].id, rows[rows.len() - 1].id);
                    let piece = rows.iter().map(|row| row.id);
                    if backwards {
                        found.splice(..0, piece);
                        filter.before = first;
                    } else {
                        found.extend(piece);
                        filter.after = last;
                    }
                    if is_last {
                        break;
                    }
                }
                assert_eq!(found, *wanted);
            }
        }
        let all = Filter::default();
        let one = mailbox.archive_piece(1, &all, true, 9, 0);
        assert_eq!(one.await.unwrap().rows.len(), 1);
        database.close().await;
    }
}

#[tokio::test]
async fn an_archive_shows_what_is_its_own() {
    let directory = TempDir::new().unwrap();
    let (database, mailbox) = open(directory.path(), 5).await;
    assert_eq!(mailbox.archive_ends(1).await, Ok(None));
    let flags = [
        Flags::INCOMING | Flags::ARCHIVED,
        Flags::INCOMING,
        Flags::ARCHIVED,
        Flags::INCOMING | Flags::SENT,
        Flags::SENT,
    ];
    let ids = flags.map(|flags| {
        let row = NewRow {
            flags,
            ..chat(1, 2, "x")
        };
        put(&mailbox, row)
    });
    settle(&database).await;
    let shown = async |account| {
        let rows = mailbox.archive_rows(account, &ids).await.unwrap();
        let sizes = rows.iter().map(|row| (row.id, row.body.len() as u64));
        let sizes: Vec<_> = sizes.collect();
        assert_eq!(mailbox.archive_sizes(account, &ids).await, Ok(sizes));
        rows.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(shown(1).await, [ids[3], ids[4]]);
    assert_eq!(shown(2).await, [ids[0], ids[2]]);
    assert_eq!(shown(3).await, [0; 0]);
    assert_eq!(mailbox.archive_ends(1).await, Ok(Some((ids[3], ids[4]))));
    assert_eq!(mailbox.archive_ends(2).await, Ok(Some((ids[0], ids[2]))));
    let owed: Vec<i64> = queue(&mailbox, 2).await.iter().map(|row| row.id).collect();
    assert_eq!(owed, [ids[0], ids[1], ids[3]]);
    let sent = mailbox.recent_sent(1, 0, 3).await.unwrap();
    assert!(sent.iter().map(|sent| sent.id).eq([ids[4], ids[3], ids[2]]));
    assert_eq!(mailbox.recent_sent(2, 0, 3).await, Ok(vec![]));
    database.close().await;
}

#[test]
fn the_hash_of_a_peer_stays_what_it_is() {
    // The first bytes of `printf '%s' juliet@example.org | sha256sum`.
    assert_eq!(
        peer_hash("juliet@example.org"),
        0x96d1_84d1_8c55_5162_u64.cast_signed()
    );
    assert_ne!(
        peer_hash("juliet@example.org"),
        peer_hash("romeo@example.org")
    );
}
