//! Times of single kernels, taken between device events while a recording is
//! on; without one nothing is done.

use crate::compute::KernelTime;
use cudarc::driver::sys::CUevent_flags;
use cudarc::driver::{CudaContext, CudaEvent, CudaStream, DriverError};
use std::sync::{Arc, Mutex, PoisonError};

/// What a kernel must at least do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cost {
    /// Bytes read and written once each.
    pub(crate) bytes: f64,
    /// Floating-point operations of its products.
    pub(crate) flops: f64,
}

/// The kernels of a recording, if one is on.
#[derive(Default)]
pub(crate) struct Profile {
    spans: Mutex<Option<Vec<Span>>>,
}

struct Span {
    name: &'static str,
    cost: Cost,
    events: [CudaEvent; 2],
}

impl Profile {
    /// Starts a recording.
    pub(crate) fn start(&self) {
        *self.spans.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// Runs `launch`, and notes its time while a recording is on.
    pub(crate) fn timed(
        &self,
        context: &Arc<CudaContext>,
        stream: &CudaStream,
        name: &'static str,
        cost: Cost,
        launch: impl FnOnce() -> Result<(), DriverError>,
    ) -> Result<(), DriverError> {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(spans) = spans.as_mut() else {
            return launch();
        };
        let event = || context.new_event(Some(CUevent_flags::CU_EVENT_DEFAULT));
        let events = [event()?, event()?];
        events[0].record(stream)?;
        launch()?;
        events[1].record(stream)?;
        spans.push(Span { name, cost, events });
        Ok(())
    }

    /// Ends the recording: sums by kernel, the longest first, and seconds from
    /// the first kernel's start to the last one's end. All work must be done
    /// before.
    pub(crate) fn finish(&self) -> Result<(Vec<KernelTime>, f64), DriverError> {
        let spans = self
            .spans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let spans = spans.unwrap_or_default();
        let whole = match (spans.first(), spans.last()) {
            (Some(first), Some(last)) => first.events[0].elapsed_ms(&last.events[1])?,
            _ => 0.0,
        };
        let mut times: Vec<KernelTime> = Vec::new();
        for Span { name, cost, events } in spans {
            let seconds = f64::from(events[0].elapsed_ms(&events[1])?) / 1e3;
            let at = times.iter().position(|t| t.name == name);
            let at = at.unwrap_or_else(|| {
                times.push(KernelTime {
                    name: name.to_owned(),
                    ..KernelTime::default()
                });
                times.len() - 1
            });
            let sum = &mut times[at];
            sum.calls += 1;
            sum.seconds += seconds;
            sum.bytes += cost.bytes;
            sum.flops += cost.flops;
        }
        times.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        Ok((times, f64::from(whole) / 1e3))
    }
}
