//! Where a step's time goes on a device, kernel by kernel.

use metaprompt_backbone::{Products, Profile};
use serde_json::{Value, json};
use std::fmt::Write;

/// The recording as JSON and as a table. `step` is a step's time without a
/// recording, in seconds.
pub(super) fn tell(profile: &Profile, step: f64) -> (Value, String) {
    let ceilings = profile.ceilings;
    let on_device: f64 = profile.kernels.iter().map(|k| k.seconds).sum();
    let mut text = String::from(
        "\n\noperation                               calls       ms   share   GB/s (of copy)  TFLOP/s (of product)   of roofline\n",
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
            "{:<38} {:>6} {:>8.3} {:>6.1}% {:>8.1} ({:>3.0}%) {:>12.3} ({:>3.0}%) {:>12.0}%",
            k.name,
            k.calls,
            1e3 * k.seconds,
            100.0 * k.seconds / on_device,
            bytes / 1e9,
            100.0 * bytes / ceilings.copy_bytes_per_second,
            flops / 1e12,
            100.0 * flops / ceilings.product_flops_per_second,
            100.0 * roofline,
        );
        kernels.push(json!({
            "name": k.name, "calls": k.calls, "seconds": k.seconds, "bytes": k.bytes,
            "flops": k.flops, "roofline_share": roofline,
        }));
    }
    let mut json = json!({
        "kernels": kernels, "kernel_seconds": on_device, "span_seconds": profile.span,
        "copy_bytes_per_second": ceilings.copy_bytes_per_second,
        "product_flops_per_second": ceilings.product_flops_per_second,
    });
    let _ = writeln!(
        text,
        "in all {:.3} ms, {:.3} ms from the first to the last",
        1e3 * on_device,
        1e3 * profile.span
    );
    match profile.products {
        Products::Replayed { alone, best } => {
            let _ = write!(
                text,
                "matrix products alone, back to back, {:.3} ms: {:.1}% of the step's {:.3} ms\n\
                 (with the fastest of cuBLASLt's algorithms for each {:.3} ms)\n\
                 this device copies {:.0} GB/s (read and written) and multiplies 8192² matrices at {:.1} TFLOP/s",
                1e3 * alone,
                100.0 * alone / step,
                1e3 * step,
                1e3 * best,
                ceilings.copy_bytes_per_second / 1e9,
                ceilings.product_flops_per_second / 1e12,
            );
            json["products_alone_seconds"] = json!(alone);
            json["products_best_seconds"] = json!(best);
            json["products_alone_share"] = json!(alone / step);
        }
        Products::Metered {
            share,
            flops,
            flops_per_second,
        } => {
            let _ = write!(
                text,
                "matrix products: {:.1}% of the threads' time, {:.1} GFLOP in it at {:.1} GFLOP/s ({:.0}% of a large product's)\n\
                 this machine copies {:.1} GB/s (read and written) and multiplies large matrices at {:.1} GFLOP/s",
                100.0 * share,
                flops / 1e9,
                flops_per_second / 1e9,
                100.0 * flops_per_second / ceilings.product_flops_per_second,
                ceilings.copy_bytes_per_second / 1e9,
                ceilings.product_flops_per_second / 1e9,
            );
            json["products_share"] = json!(share);
            json["products_flops"] = json!(flops);
            json["products_flops_per_second"] = json!(flops_per_second);
        }
    }
    (json, text)
}
