//! The databases of the embedded store: locking, group commit, what a killed first start leaves.

use std::fs;
use std::sync::{Arc, Mutex, mpsc};

use fjall::{Keyspace, KeyspaceCreateOptions, OwnedWriteBatch};

use super::{
    Database, Durability, Fatal, Mailbox, OnFatal, OpenError, Operation, Options, Writer, locked,
};

fn options() -> Options {
    Options::coordinator(Durability::Sync)
}

struct Put {
    rows: Keyspace,
    key: u8,
    done: Arc<mpsc::Sender<u8>>,
    fail: bool,
}

impl Operation for Put {
    fn bytes(&self) -> usize {
        2
    }

    fn write(&mut self, batch: &mut OwnedWriteBatch) -> fjall::Result<()> {
        if self.fail {
            return Err(fjall::Error::Poisoned);
        }
        batch.insert(&self.rows, [self.key], [self.key]);
        Ok(())
    }

    fn written(self: Box<Self>) {
        self.done.send(self.key).expect("the test listens");
    }
}

fn no_fatal() -> OnFatal {
    Arc::new(|fatal: Fatal| panic!("{fatal}"))
}

#[test]
fn what_was_queued_is_written_in_order_and_is_there_after_a_reopen() {
    let folder = tempfile::tempdir().expect("a folder");
    let (done, completed) = mpsc::channel();
    {
        let database = Database::open(folder.path(), options()).expect("opens");
        let rows = database.keyspace("rows", KeyspaceCreateOptions::default()).expect("opens");
        let writer = Writer::start(database, no_fatal()).expect("starts");
        for key in 0..100 {
            let done = Arc::new(done.clone());
            let operation = Put { rows: rows.clone(), key, done, fail: false };
            writer.queue().submit(Box::new(operation));
        }
    }
    drop(done);
    let in_order: Vec<u8> = (0..100).collect();
    assert_eq!(completed.iter().collect::<Vec<_>>(), in_order);
    let database = Database::open(folder.path(), options()).expect("opens again");
    let rows = database.keyspace("rows", KeyspaceCreateOptions::default()).expect("opens");
    let keys: Vec<u8> = rows.iter().map(|row| row.key().expect("a key")[0]).collect();
    assert_eq!(keys, in_order);
}

#[test]
fn a_folder_that_is_open_is_refused_as_in_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let _open = Database::open(folder.path(), options()).expect("opens");
    let refused = Database::open(folder.path(), options()).err().expect("refused");
    assert!(matches!(refused, OpenError::DataInUse { .. }));
    assert_eq!(
        refused.to_string(),
        format!(
            "the data in {} is in use by another process; stop it, or choose another data folder",
            folder.path().display()
        )
    );
}

#[test]
fn a_first_start_that_was_killed_is_started_over() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("lock"), "").expect("written");
    fs::write(folder.path().join("0.jnl"), "").expect("written");
    fs::write(folder.path().join("version"), "").expect("written");
    assert_eq!(
        Database::open(folder.path(), options()).map(|_| ()).map_err(|e| e.to_string()),
        Ok(())
    );
}

#[test]
fn after_a_failed_write_nothing_completes_and_the_failure_is_told_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Database::open(folder.path(), options()).expect("opens");
    let rows = database.keyspace("rows", KeyspaceCreateOptions::default()).expect("opens");
    let (done, completed) = mpsc::channel();
    let failing = Arc::new(done.clone());
    let waits = Arc::downgrade(&failing);
    let told = Arc::new(Mutex::new(Vec::new()));
    let on_fatal: OnFatal = {
        let told = Arc::clone(&told);
        Arc::new(move |fatal: Fatal| locked(&told).push((fatal, waits.strong_count())))
    };
    let writer = Writer::start(database, on_fatal).expect("starts");
    for (key, fail, done) in [(0, true, failing), (1, false, Arc::new(done))] {
        let operation = Put { rows: rows.clone(), key, done, fail };
        writer.queue().submit(Box::new(operation));
    }
    drop(writer);
    assert_eq!(completed.iter().collect::<Vec<_>>(), Vec::<u8>::new());
    let folder = folder.path().to_owned();
    let fatal = Fatal { folder, cause: "FjallError: Poisoned".to_owned() };
    // Who asked has heard nothing yet: the process ends first.
    assert_eq!(*locked(&told), [(fatal, 1)]);
}

#[test]
fn a_mailbox_wakes_its_owner_once_for_what_it_takes_at_once() {
    let (wake, woken) = mpsc::channel();
    let mailbox = Mailbox::new(Arc::new(move || wake.send(()).expect("the test listens")));
    mailbox.push(1);
    mailbox.push(2);
    let mut out = Vec::new();
    mailbox.take(&mut out);
    mailbox.push(3);
    mailbox.take(&mut out);
    assert_eq!((out, woken.try_iter().count()), (vec![1, 2, 3], 2));
}
