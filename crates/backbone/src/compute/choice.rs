//! Which processor to use.

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
    /// What [`Device::Auto`] means on this machine. Says on the log when a GPU
    /// is there that can't be used.
    pub(crate) fn resolved(self) -> Self {
        if self != Device::Auto {
            return self;
        }
        match super::cuda::available() {
            Ok(()) => Device::Cuda(0),
            Err(reason) => {
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
