//! What a script does later: reactions of promises, timers, and the ends of calls. Where nothing is left to run and nothing
//! to wait for, a script that has not ended never will.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Waker;

use boa_engine::context::time::{Clock, JsInstant};
use boa_engine::job::{GenericJob, IntervalJob, Job, JobExecutor, NativeAsyncJob, PromiseJob, TimeoutJob};
use boa_engine::{Context, JsResult};

/// The time as the host told it last. It stands still while a script runs, so that none measures what others do.
#[derive(Debug, Default)]
pub(crate) struct HostClock {
    begun: Cell<u64>,
    now: Cell<u64>,
}

impl HostClock {
    pub fn start(&self, now: u64) {
        self.begun.set(now);
        self.now.set(now);
    }

    pub fn set(&self, now: u64) {
        // It never goes back.
        self.now.set(now.max(self.now.get()));
    }

    /// The milliseconds since the script began.
    pub fn elapsed(&self) -> u64 {
        self.now.get() - self.begun.get()
    }
}

impl Clock for HostClock {
    fn now(&self) -> JsInstant {
        let elapsed = self.elapsed();
        JsInstant::new(elapsed / 1000, u32::try_from(elapsed % 1000).unwrap_or(0) * 1_000_000)
    }

    fn system_time_millis(&self) -> i64 {
        i64::try_from(self.now.get()).unwrap_or(i64::MAX)
    }
}

enum Timer {
    Once(TimeoutJob),
    Every(IntervalJob),
}

/// The queues of a runtime.
#[derive(Default)]
pub(crate) struct Jobs {
    soon: RefCell<VecDeque<Soon>>,
    /// By the time when they are due, and the order in which they were made.
    timers: RefCell<BTreeMap<(u64, u64), Timer>>,
    made: Cell<u64>,
    clock: Rc<HostClock>,
}

enum Soon {
    Promise(PromiseJob),
    Generic(GenericJob),
    /// A failure that the engine tells later, such as that of `import()`: nothing here waits in Rust.
    Native(NativeAsyncJob),
}

impl Jobs {
    pub fn new(clock: Rc<HostClock>) -> Self {
        Self { clock, ..Self::default() }
    }

    /// Runs all that can run without waiting, until nothing is left or `is_over`.
    pub fn run_ready(&self, context: &mut Context, is_over: impl Fn() -> bool) -> JsResult<()> {
        loop {
            let next = self.soon.borrow_mut().pop_front();
            match next {
                Some(Soon::Promise(job)) => drop(job.call(context)?),
                Some(Soon::Generic(job)) => drop(job.call(context)?),
                Some(Soon::Native(job)) => {
                    let context = RefCell::new(&mut *context);
                    let mut future = job.call(&context);
                    let _ = Pin::new(&mut future).poll(&mut std::task::Context::from_waker(Waker::noop()));
                }
                None if is_over() => return Ok(()),
                None => match self.due() {
                    None => return Ok(()),
                    Some(Timer::Once(job)) if !job.cancelled() => drop(job.call(context)?),
                    Some(Timer::Every(job)) if !job.cancelled() => {
                        job.call(context)?;
                        self.add(job.interval().as_millis().max(1), Timer::Every(job));
                    }
                    Some(_) => {}
                },
            }
            context.clear_kept_objects();
        }
    }

    /// Returns the timer that is due.
    fn due(&self) -> Option<Timer> {
        let mut timers = self.timers.borrow_mut();
        let entry = timers.first_entry().filter(|entry| entry.key().0 <= self.clock.elapsed())?;
        Some(entry.remove())
    }

    /// Returns how long it takes until the next timer is due, in milliseconds.
    pub fn next_timer_delay(&self) -> Option<u64> {
        let mut timers = self.timers.borrow_mut();
        timers.retain(|_, timer| match timer {
            Timer::Once(job) => !job.cancelled(),
            Timer::Every(job) => !job.cancelled(),
        });
        timers.first_key_value().map(|((due, _), _)| due.saturating_sub(self.clock.elapsed()))
    }

    fn add(&self, after: u64, timer: Timer) {
        let order = self.made.get();
        self.made.set(order + 1);
        self.timers.borrow_mut().insert((self.clock.elapsed().saturating_add(after), order), timer);
    }
}

impl JobExecutor for Jobs {
    fn enqueue_job(self: Rc<Self>, job: Job, _: &mut Context) {
        match job {
            Job::PromiseJob(job) => self.soon.borrow_mut().push_back(Soon::Promise(job)),
            Job::GenericJob(job) => self.soon.borrow_mut().push_back(Soon::Generic(job)),
            // As in Node: a loop of timers lets calls go on.
            Job::TimeoutJob(job) => self.add(job.timeout().as_millis().max(1), Timer::Once(job)),
            Job::IntervalJob(job) => self.add(job.interval().as_millis().max(1), Timer::Every(job)),
            Job::AsyncJob(job) => self.soon.borrow_mut().push_back(Soon::Native(job)),
            // What is left behind goes with the runtime.
            _ => {}
        }
    }

    fn run_jobs(self: Rc<Self>, context: &mut Context) -> JsResult<()> {
        self.run_ready(context, || false)
    }
}
