//! Where a step's time goes on a device, kernel by kernel.

use metaprompt_backbone::Profile;
use serde_json::{Value, json};
use std::fmt::Write;

/// The recording as JSON and as a table. `step` is a step's time without a
/// recording, in seconds.
pub(super) fn tell(profile: &Profile, step: f64) -> (Value, String) {
    let ceilings = profile.ceilings;
    let on_device: f64 = profile.kernels.iter().map(|k| k.seconds).sum();
    let mut text = String::from(
        "\n\nkernel                        calls       ms   share   GB/s (of copy)  TFLOP/s (of product)\n",
    );
    let mut kernels = Vec::new();
    for k in &profile.kernels {
        let (bytes, flops) = (k.bytes / k.seconds, k.flops / k.seconds);
        // The least time that the device's limits allow, over the time taken.
        let roofline = (k.bytes / ceilings.copy_bytes_per_second)
            .max(k.flops / ceilings.product_flops_per_second)
            / k.seconds;
        let _ = writeln!(
            text,
            "{:<28} {:>6} {:>8.3} {:>6.1}% {:>8.0} ({:>3.0}%) {:>12.1} ({:>3.0}%)",
            k.name,
            k.calls,
            1e3 * k.seconds,
            100.0 * k.seconds / on_device,
            bytes / 1e9,
            100.0 * bytes / ceilings.copy_bytes_per_second,
            flops / 1e12,
            100.0 * flops / ceilings.product_flops_per_second,
        );
        kernels.push(json!({
            "name": k.name, "calls": k.calls, "seconds": k.seconds, "bytes": k.bytes,
            "flops": k.flops, "roofline_share": roofline,
        }));
    }
    let _ = write!(
        text,
        "kernels in all {:.3} ms, {:.3} ms from the first to the last; matrix products alone, back to back, {:.3} ms: {:.1}% of the step's {:.3} ms\n\
         (with the fastest of cuBLASLt's algorithms for each {:.3} ms)\n\
         this device copies {:.0} GB/s (read and written) and multiplies 8192² matrices at {:.1} TFLOP/s",
        1e3 * on_device,
        1e3 * profile.span,
        1e3 * profile.products_alone,
        100.0 * profile.products_alone / step,
        1e3 * step,
        1e3 * profile.products_best,
        ceilings.copy_bytes_per_second / 1e9,
        ceilings.product_flops_per_second / 1e12,
    );
    let json = json!({
        "kernels": kernels, "kernel_seconds": on_device, "span_seconds": profile.span,
        "products_alone_seconds": profile.products_alone,
        "products_best_seconds": profile.products_best,
        "products_alone_share": profile.products_alone / step,
        "copy_bytes_per_second": ceilings.copy_bytes_per_second,
        "product_flops_per_second": ceilings.product_flops_per_second,
    });
    (json, text)
}
