//! Random programs of tasks that spawn, wake, cancel and join each other, on the executor and on a
//! model of it: the same polls, results and drops, in the same order.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use reactor::task::{JoinError, JoinHandle, Priority};
use reactor::testing::VirtualClock;
use reactor::{Reactor, Spawner};

/// Tasks in a program; the last is the main future.
const TASKS: usize = 6;
const MAIN: usize = TASKS;

/// What a task does within one poll. Numbers name tasks.
#[derive(Clone, Copy, Debug)]
enum Action {
    Spawn(usize),
    Wake(usize),
    WakeSelf,
    Cancel(usize),
    /// Polls a join handle.
    Join(usize),
    DropHandle(usize),
    DropWaker(usize),
}

#[derive(Clone, Debug)]
struct Program {
    /// For each task, the actions of its polls; it is ready after the last.
    scripts: Vec<Vec<Vec<Action>>>,
    priorities: Vec<Priority>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Polled(usize, usize),
    Dropped(usize),
    Joined(usize, Result<usize, JoinError>),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (0..TASKS).prop_map(Action::Spawn),
        6 => (0..=TASKS).prop_map(Action::Wake),
        3 => Just(Action::WakeSelf),
        2 => (0..TASKS).prop_map(Action::Cancel),
        3 => (0..TASKS).prop_map(Action::Join),
        1 => (0..TASKS).prop_map(Action::DropHandle),
        1 => (0..TASKS).prop_map(Action::DropWaker),
    ]
}

fn program() -> impl Strategy<Value = Program> {
    let script = prop::collection::vec(prop::collection::vec(action(), 0..5), 1..6);
    let priority = prop::sample::select(vec![Priority::High, Priority::Normal, Priority::Low]);
    let tasks = prop::collection::vec((script, priority), TASKS);
    let main = prop::collection::vec(prop::collection::vec(action(), 0..6), 1..12);
    (tasks, main).prop_map(|(tasks, main)| {
        let (mut scripts, priorities): (Vec<_>, Vec<_>) = tasks.into_iter().unzip();
        scripts.push(main);
        Program {
            scripts,
            priorities,
        }
    })
}

// --- the executor -----------------------------------------------------------------------------

/// What the tasks of a run share.
struct World {
    program: Program,
    spawner: Spawner,
    spawned: RefCell<[bool; TASKS]>,
    handles: RefCell<Vec<Option<JoinHandle<usize>>>>,
    wakers: RefCell<Vec<Option<Waker>>>,
    trace: Rc<RefCell<Vec<Seen>>>,
}

/// Notes when the future that owns it is dropped.
struct DropNote(usize, Rc<RefCell<Vec<Seen>>>);

impl Drop for DropNote {
    fn drop(&mut self) {
        self.1.borrow_mut().push(Seen::Dropped(self.0));
    }
}

/// The future of one task.
fn run_script(world: Rc<World>, task: usize) -> impl Future<Output = usize> {
    let note = DropNote(task, world.trace.clone());
    let mut poll = 0;
    poll_fn(move |cx| {
        let _note = &note;
        world.trace.borrow_mut().push(Seen::Polled(task, poll));
        world.wakers.borrow_mut()[task] = Some(cx.waker().clone());
        let script = &world.program.scripts[task];
        script[poll]
            .iter()
            .for_each(|action| act(&world, *action, cx));
        poll += 1;
        if poll == script.len() {
            return Poll::Ready(task);
        }
        if task == MAIN {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
}

fn act(world: &Rc<World>, action: Action, cx: &mut Context<'_>) {
    match action {
        Action::Spawn(task) => spawn(world, task),
        Action::Wake(task) => world.wakers.borrow()[task]
            .iter()
            .for_each(Waker::wake_by_ref),
        Action::WakeSelf => cx.waker().wake_by_ref(),
        Action::Cancel(task) => world.handles.borrow()[task]
            .iter()
            .for_each(JoinHandle::cancel),
        Action::Join(task) => {
            let mut handles = world.handles.borrow_mut();
            let Some(handle) = &mut handles[task] else {
                return;
            };
            if let Poll::Ready(result) = Pin::new(handle).poll(cx) {
                handles[task] = None;
                world.trace.borrow_mut().push(Seen::Joined(task, result));
            }
        }
        Action::DropHandle(task) => world.handles.borrow_mut()[task] = None,
        Action::DropWaker(task) => world.wakers.borrow_mut()[task] = None,
    }
}

/// Spawns a task, the first time that somebody wants it.
fn spawn(world: &Rc<World>, task: usize) {
    if std::mem::replace(&mut world.spawned.borrow_mut()[task], true) {
        return;
    }
    let builder = world
        .spawner
        .task("scripted")
        .priority(world.program.priorities[task]);
    let handle = builder.spawn(run_script(world.clone(), task));
    world.handles.borrow_mut()[task] = Some(handle);
}

fn run_real(program: &Program) -> Vec<Seen> {
    let reactor = Reactor::new(VirtualClock::new());
    let trace: Rc<RefCell<Vec<Seen>>> = Rc::default();
    let world = Rc::new(World {
        program: program.clone(),
        spawner: reactor.spawner(),
        spawned: RefCell::default(),
        handles: RefCell::new((0..TASKS).map(|_| None).collect()),
        wakers: RefCell::new((0..=TASKS).map(|_| None).collect()),
        trace: trace.clone(),
    });
    assert_eq!(reactor.block_on(run_script(world.clone(), MAIN)), MAIN);
    drop(reactor);
    assert!(
        world
            .handles
            .borrow()
            .iter()
            .flatten()
            .all(JoinHandle::is_finished)
    );
    trace.take()
}

// --- the model ----------------------------------------------------------------------------------

#[derive(Clone, Default)]
struct ModelTask {
    id: Option<usize>,
    queued: bool,
    running: bool,
    cancelled: bool,
    result: Option<Result<usize, JoinError>>,
    polls: usize,
    has_handle: bool,
    has_waker: bool,
    joiner: Option<usize>,
}

struct Model<'a> {
    program: &'a Program,
    tasks: Vec<ModelTask>,
    queues: [VecDeque<usize>; 3],
    spawned: usize,
    trace: Vec<Seen>,
}

impl Model<'_> {
    fn run(program: &Program) -> Vec<Seen> {
        let (tasks, queues) = (vec![ModelTask::default(); TASKS + 1], Default::default());
        let mut model = Model {
            program,
            tasks,
            queues,
            spawned: 0,
            trace: Vec::new(),
        };
        model.spawn(MAIN);
        while model.tasks[MAIN].result.is_none() {
            for class in 0..3 {
                for _ in 0..model.queues[class].len() {
                    let task = model.queues[class].pop_front().expect("counted");
                    model.turn_of(task);
                }
            }
        }
        model.close();
        model.trace
    }

    fn class(&self, task: usize) -> usize {
        if task == MAIN {
            Priority::Normal as usize
        } else {
            self.program.priorities[task] as usize
        }
    }

    fn spawn(&mut self, task: usize) {
        if self.tasks[task].id.is_none() {
            self.tasks[task].id = Some(self.spawned);
            self.tasks[task].has_handle = true;
            self.spawned += 1;
            self.wake(task);
        }
    }

    fn wake(&mut self, task: usize) {
        let class = self.class(task);
        let it = &mut self.tasks[task];
        if it.id.is_none() || it.queued || it.result.is_some() {
            return;
        }
        it.queued = true;
        if !it.running {
            self.queues[class].push_back(task);
        }
    }

    fn turn_of(&mut self, task: usize) {
        self.tasks[task].queued = false;
        if self.tasks[task].cancelled {
            return self.end(task, Err(JoinError::Cancelled));
        }
        self.tasks[task].running = true;
        self.tasks[task].has_waker = true;
        let (program, poll) = (self.program, self.tasks[task].polls);
        self.trace.push(Seen::Polled(task, poll));
        program.scripts[task][poll]
            .iter()
            .for_each(|action| self.act(*action, task));
        self.tasks[task].polls += 1;
        if self.tasks[task].polls == program.scripts[task].len() {
            return self.end(task, Ok(task));
        }
        self.tasks[task].running = false;
        if self.tasks[task].queued || task == MAIN {
            self.tasks[task].queued = false;
            self.wake(task);
        }
    }

    fn act(&mut self, action: Action, by: usize) {
        match action {
            Action::Spawn(task) => self.spawn(task),
            Action::Wake(task) if self.tasks[task].has_waker => self.wake(task),
            Action::Wake(_) => {}
            Action::WakeSelf => self.wake(by),
            Action::Cancel(task) if self.tasks[task].has_handle => {
                self.tasks[task].cancelled = true;
                self.wake(task);
            }
            Action::Cancel(_) => {}
            Action::Join(task) if self.tasks[task].has_handle => match self.tasks[task].result {
                Some(result) => {
                    self.tasks[task].has_handle = false;
                    self.trace.push(Seen::Joined(task, result));
                }
                None => self.tasks[task].joiner = Some(by),
            },
            Action::Join(_) => {}
            Action::DropHandle(task) => {
                self.tasks[task].has_handle = false;
                self.tasks[task].joiner = None;
            }
            Action::DropWaker(task) => self.tasks[task].has_waker = false,
        }
    }

    fn end(&mut self, task: usize, result: Result<usize, JoinError>) {
        self.trace.push(Seen::Dropped(task));
        self.tasks[task].result = Some(result);
        if let Some(joiner) = self.tasks[task].joiner.take() {
            self.wake(joiner);
        }
    }

    /// The reactor is dropped: what is queued, then what waits, oldest first.
    fn close(&mut self) {
        loop {
            for class in 0..3 {
                while let Some(task) = self.queues[class].pop_front() {
                    self.end(task, Err(JoinError::Cancelled));
                }
            }
            let live =
                |it: &&usize| self.tasks[**it].id.is_some() && self.tasks[**it].result.is_none();
            let all: Vec<usize> = (0..=TASKS).collect();
            match all.iter().filter(live).min_by_key(|it| self.tasks[**it].id) {
                Some(oldest) => self.wake(*oldest),
                None => return,
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 3 } else { 3000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_executor_does_what_the_model_does(program in program()) {
        prop_assert_eq!(run_real(&program), Model::run(&program));
    }
}
