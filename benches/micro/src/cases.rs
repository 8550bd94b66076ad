//! The cases, written once: a macro, because executors differ in the bounds of what they spawn. And the
//! words for messages and wake-ups in which some of them agree.

/// Far enough away never to come.
pub(crate) const FAR: std::time::Duration = std::time::Duration::from_secs(3600);
/// One in this many sources is ready when a task looks at them.
pub(crate) const READY: usize = 100;
/// Tasks that are started before one of them runs.
pub(crate) const TOGETHER: u64 = 100;

/// A message, or none once the senders are gone: the reactor's channels and tokio's.
macro_rules! receive {
    ($channel:ident) => {
        $channel.recv().await
    };
}

/// The same of async-channel.
macro_rules! receive_ok {
    ($channel:ident) => {{
        let channel = &mut $channel;
        channel.recv().await.ok()
    }};
}

/// The reactor's `Notify` and tokio's.
macro_rules! notified {
    ($source:ident) => {
        $source.notified().await
    };
}
macro_rules! notify_one {
    ($source:ident) => {
        $source.notify_one()
    };
}

/// An `Event` of event-listener.
macro_rules! listen {
    ($source:ident) => {
        $source.listen().await
    };
}
macro_rules! notify {
    ($source:ident) => {
        $source.notify(1)
    };
}

/// The body of `yields`: `$spawn` gives a handle, which `$join` waits for.
macro_rules! yields {
    ($tasks:expr, $each:expr, $spawn:expr, $join:expr, $yield:path) => {{
        let mut handles = Vec::new();
        for _ in 0..$tasks {
            handles.push($spawn(async move {
                for _ in 0..$each {
                    $yield().await;
                }
            }));
        }
        for handle in handles {
            $join(handle).await;
        }
    }};
}

macro_rules! spawns {
    ($count:expr, $spawn:expr, $join:expr) => {
        for _ in 0..$count {
            $join($spawn(async {})).await;
        }
    };
}

/// The body of `starts`: nobody waits for the tasks, but for their number.
macro_rules! starts {
    ($count:expr, $spawn:expr, $shared:ident, $yield:path) => {{
        use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
        let ran = $shared::new(AtomicU64::new(0));
        let mut started = 0;
        while started < $count {
            let ran = ran.clone();
            $spawn(async move {
                ran.fetch_add(1, Relaxed);
            });
            started += 1;
            if started % $crate::cases::TOGETHER == 0 {
                $yield().await;
            }
        }
        while ran.load(Relaxed) < $count {
            $yield().await;
        }
    }};
}

/// The body of `round_trips`, over channels with `$receive`.
macro_rules! round_trips {
    ($count:expr, $spawn:expr, $join:expr, $channel:expr, $receive:ident) => {{
        let (requests, mut inbox) = $channel;
        let (answers, mut outbox) = $channel;
        let echo = $spawn(async move {
            while let Some(number) = $receive!(inbox) {
                if answers.send(number).await.is_err() {
                    return;
                }
            }
        });
        for number in 0..$count {
            requests.send(number).await.expect("the echo runs");
            assert_eq!($receive!(outbox), Some(number));
        }
        drop(requests);
        $join(echo).await;
    }};
}

/// The body of `readiness`: every source has a `$notify`, and tells a counter that it ran. Gives the tasks,
/// which wait, and their sources.
macro_rules! readiness {
    ($sources:expr, $every:expr, $rounds:expr, $spawn:expr, $shared:ident, $notify:ty, $wait:ident, $set:ident, $yield:path) => {{
        use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
        let begun = $shared::new(AtomicUsize::new(0));
        let ran = $shared::new(AtomicUsize::new(0));
        let sources: Vec<_> = (0..$sources)
            .map(|_| $shared::new(<$notify>::new()))
            .collect();
        let mut handles = Vec::new();
        for source in &sources {
            let (source, begun, ran) = (source.clone(), begun.clone(), ran.clone());
            handles.push($spawn(async move {
                begun.fetch_add(1, Relaxed);
                loop {
                    $wait!(source);
                    ran.fetch_add(1, Relaxed);
                }
            }));
        }
        while begun.load(Relaxed) < $sources {
            $yield().await;
        }
        let mut expected = 0;
        for round in 0..$rounds {
            let first = round as usize % $every;
            for source in sources.iter().skip(first).step_by($every) {
                $set!(source);
                expected += 1;
            }
            while ran.load(Relaxed) < expected {
                $yield().await;
            }
        }
        (handles, sources)
    }};
}

/// The body of `looks`: this task alone waits for all sources, and asks each of them when it looks.
macro_rules! looks {
    ($sources:expr, $rounds:expr, $source:expr, $set:expr, $take:expr) => {{
        let mut sources: Vec<_> = (0..$sources).map(|_| $source).collect();
        for round in 0..$rounds {
            let first = round as usize % $crate::cases::READY;
            let chosen = sources.iter().skip(first).step_by($crate::cases::READY);
            let count = chosen.map($set).count();
            let found = std::future::poll_fn(|cx| {
                let mut found = 0;
                for source in &mut sources {
                    found += usize::from($take(source, cx));
                }
                match found {
                    0 => std::task::Poll::Pending,
                    _ => std::task::Poll::Ready(found),
                }
            });
            assert_eq!(found.await, count);
        }
    }};
}

/// A source of event-listener's, and how it is set and taken.
pub(crate) struct Listened(event_listener::Event, event_listener::EventListener);

impl Default for Listened {
    fn default() -> Listened {
        let event = event_listener::Event::new();
        let listener = event.listen();
        Listened(event, listener)
    }
}

impl Listened {
    pub(crate) fn set(&self) {
        self.0.notify(1);
    }

    pub(crate) fn take(&mut self, cx: &mut std::task::Context<'_>) -> bool {
        let told = std::pin::Pin::new(&mut self.1).poll(cx).is_ready();
        if told {
            self.1 = self.0.listen();
        }
        told
    }
}

macro_rules! timers {
    ($live:expr, $count:expr, $spawn:expr, $sleep:expr) => {{
        let mut handles = Vec::new();
        for _ in 0..$live {
            let sleep = $sleep($crate::cases::FAR);
            handles.push($spawn(async move {
                sleep.await;
            }));
        }
        futures_lite::future::yield_now().await;
        for _ in 0..$count {
            let mut sleep = std::pin::pin!($sleep($crate::cases::FAR));
            let polled = futures_lite::future::poll_once(sleep.as_mut()).await;
            assert!(polled.is_none());
        }
        handles
    }};
}

macro_rules! expiries {
    ($count:expr, $after:expr, $sleep:expr) => {{
        let sleeps = (0..$count).map(|_| $sleep($after));
        let sleeps: futures_util::stream::FuturesUnordered<_> = sleeps.collect();
        let fired = futures_util::StreamExt::count(sleeps).await;
        assert_eq!(fired, $count);
    }};
}
