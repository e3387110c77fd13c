//! Which processor to use.

use crate::files::{Config, Weights};
use std::str::FromStr;

/// A processor that a backbone can run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// GPU 0 where it can be used, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// GPU number so and so.
    Cuda(usize),
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || format!("`{text}` is no device; use auto, cpu, cuda or cuda:N");
        match text {
            "auto" => Ok(Device::Auto),
            "cpu" => Ok(Device::Cpu),
            "cuda" => Ok(Device::Cuda(0)),
            _ => {
                let number = text.strip_prefix("cuda:").ok_or_else(wanted)?;
                number.parse().map(Device::Cuda).map_err(|_| wanted())
            }
        }
    }
}

impl Device {
    /// What [`Device::Auto`] means on this machine for a model. Says on the log
    /// when a GPU is there that can't be used, or that is used for what no card
    /// has run yet.
    pub(crate) fn resolved(self, config: &Config, weights: Weights) -> Self {
        let unproven = super::cuda::unproven(config, weights);
        if self != Device::Auto {
            if let (Device::Cuda(_), Some(parts)) = (self, unproven) {
                tracing::warn!(
                    "this program's GPU kernels for {parts} were tested without a GPU only; \
                     check results against --device cpu before you rely on them"
                );
            }
            return self;
        }
        match (super::cuda::available(), unproven) {
            (Ok(()), None) => Device::Cuda(0),
            (Ok(()), Some(parts)) => {
                tracing::warn!(
                    "running on the CPU: GPU kernels for {parts} were tested without a GPU only; \
                     --device cuda uses them all the same"
                );
                Device::Cpu
            }
            (Err(reason), _) => {
                if reason.gpu {
                    tracing::warn!("running on the CPU: {}", reason.problem);
                } else {
                    tracing::debug!("running on the CPU: {}", reason.problem);
                }
                Device::Cpu
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_devices() {
        assert_eq!("auto".parse(), Ok(Device::Auto));
        assert_eq!("cpu".parse(), Ok(Device::Cpu));
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        assert_eq!("cuda:3".parse(), Ok(Device::Cuda(3)));
        for bad in ["", "gpu", "cuda:", "cuda:-1", "cuda:x"] {
            assert!(bad.parse::<Device>().is_err(), "{bad}");
        }
    }
}
