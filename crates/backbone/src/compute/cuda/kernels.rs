//! The kernels' sources, compiled by NVRTC for a card and kept on disk.
//!
//! The sources include nothing, so that no CUDA headers are needed where the
//! program runs; `common.cuh` is put before each of them.

use super::discover::driver_version;
use crate::compute::{ComputeError, Computed};
use cudarc::driver::{CudaContext, CudaFunction};
use cudarc::nvrtc::{Ptx, result as nvrtc, sys};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Kernels that every model uses.
pub(crate) const COMMON: &[(&str, &str)] = &[
    ("norm", include_str!("kernels/norm.cu")),
    ("head_norm", include_str!("kernels/head_norm.cu")),
    ("rotary", include_str!("kernels/rotary.cu")),
    ("swiglu", include_str!("kernels/swiglu.cu")),
    ("rows", include_str!("kernels/rows.cu")),
    ("head", include_str!("kernels/head.cu")),
    ("unpack", include_str!("kernels/unpack.cu")),
];

/// Bytes of a SHA-256.
const DIGEST: usize = 32;

/// Oldest NVRTC that makes machine code.
const OLDEST: (i32, i32) = (11, 1);

const PRELUDE: &str = include_str!("kernels/common.cuh");

/// What NVRTC made of a source.
pub(crate) struct Compiled {
    /// Machine code.
    pub(crate) cubin: Vec<u8>,
    /// Warnings, and what `ptxas` says of registers and spills.
    pub(crate) log: String,
}

/// Loaded kernels by name.
pub(crate) struct Kernels {
    functions: HashMap<String, CudaFunction>,
}

impl Kernels {
    /// Compiles (or finds) and loads sources.
    pub(crate) fn load(
        context: &Arc<CudaContext>,
        device: &str,
        capability: (i32, i32),
        sources: &[(&'static str, &'static str)],
        macros: &[(&str, usize)],
    ) -> Computed<Self> {
        let failed = |operation: &'static str, problem: String| ComputeError::Device {
            device: device.to_owned(),
            operation,
            problem,
        };
        let mut functions = HashMap::new();
        for (name, source) in sources {
            let cubin = cached(source, capability, macros).map_err(|problem| {
                failed("compiling its kernels", format!("{name}.cu: {problem}"))
            })?;
            let load = || {
                let module = context.load_module(Ptx::from_binary(cubin))?;
                for kernel in kernel_names(source) {
                    functions.insert(kernel.to_owned(), module.load_function(kernel)?);
                }
                Ok::<(), cudarc::driver::DriverError>(())
            };
            load().map_err(|e| {
                let problem = format!("{name}.cu: {e:?}{}", versions());
                failed("loading its kernels", problem)
            })?;
        }
        Ok(Kernels { functions })
    }

    /// A kernel by its name.
    ///
    /// # Panics
    /// When no source has it.
    pub(crate) fn get(&self, name: &str) -> &CudaFunction {
        self.functions
            .get(name)
            .unwrap_or_else(|| panic!("no kernel is called {name}"))
    }
}

/// The names after `extern "C" __global__`.
fn kernel_names(source: &str) -> impl Iterator<Item = &str> {
    source
        .split("extern \"C\" __global__")
        .skip(1)
        .filter_map(|rest| {
            let rest = match rest.find("__launch_bounds__(") {
                Some(at) if at < 16 => {
                    let after = &rest[at..];
                    &after[after.find(')')? + 1..]
                }
                _ => rest,
            };
            let name = &rest[..rest.find('(')?];
            name.split_whitespace().last()
        })
}

fn nvrtc_version() -> Result<(i32, i32), nvrtc::NvrtcError> {
    let (mut major, mut minor) = (0, 0);
    // SAFETY: two numbers are written.
    unsafe { sys::nvrtcVersion(&raw mut major, &raw mut minor) }.result()?;
    Ok((major, minor))
}

/// What to do where the driver is older than the compiler.
fn versions() -> String {
    let (Ok(driver), Ok((major, minor))) = (driver_version(), nvrtc_version()) else {
        return String::new();
    };
    if major * 1000 + minor * 10 <= driver {
        return String::new();
    }
    format!(
        "; the driver is made for CUDA {}.{} and NVRTC is {major}.{minor}: update the driver, or install nvidia-cuda-nvrtc of the driver's version",
        driver / 1000,
        driver % 1000 / 10
    )
}

/// Machine code from the cache, or compiled and then kept there.
fn cached(
    source: &str,
    capability: (i32, i32),
    macros: &[(&str, usize)],
) -> Result<Vec<u8>, String> {
    let (major, minor) = nvrtc_version().map_err(|e| format!("NVRTC does not answer: {e:?}"))?;
    if (major, minor) < OLDEST {
        return Err(format!(
            "NVRTC {major}.{minor} was found, which is too old; put a newer one's folder first on LD_LIBRARY_PATH"
        ));
    }
    let mut hash = Sha256::new();
    let options = options(capability, macros);
    hash.update(format!("{options:?} NVRTC {major}.{minor}\n"));
    hash.update(PRELUDE);
    hash.update(source);
    let key: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    let path = cache_directory().map(|folder| folder.join(format!("{}.cubin", &key[..32])));
    if let Some(cubin) = path.as_deref().and_then(kept) {
        return Ok(cubin);
    }
    let Compiled { cubin, log } = compile(source, capability, macros)?;
    tracing::debug!("compiled for {capability:?} {macros:?}: {log}");
    if let Some(path) = path {
        // Without a cache the kernels are compiled at each start.
        if let Err(e) = keep(&path, &cubin) {
            tracing::debug!("compiled kernels can't be kept at {}: {e}", path.display());
        }
    }
    Ok(cubin)
}

fn cache_directory() -> Option<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(path) if !path.is_empty() => PathBuf::from(path),
        _ => PathBuf::from(std::env::var_os("HOME")?).join(".cache"),
    };
    Some(base.join("metaprompt").join("kernels"))
}

/// Kept machine code, behind its SHA-256: the driver would read past the end of
/// a file that was cut off.
fn kept(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = std::fs::read(path).ok()?;
    if bytes.len() <= DIGEST {
        return None;
    }
    let cubin = bytes.split_off(DIGEST);
    (Sha256::digest(&cubin).as_slice() == bytes).then_some(cubin)
}

fn keep(path: &Path, cubin: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&Sha256::digest(cubin))?;
    file.write_all(cubin)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn options((major, minor): (i32, i32), macros: &[(&str, usize)]) -> Vec<String> {
    let mut options = vec![
        format!("--gpu-architecture=sm_{major}{minor}"),
        "--std=c++17".to_owned(),
        "-default-device".to_owned(),
        "--ptxas-options=-v".to_owned(),
    ];
    let macros = macros.iter();
    options.extend(macros.map(|(name, value)| format!("-D{name}={value}")));
    options
}

/// Compiles one source to machine code.
pub(crate) fn compile(
    source: &str,
    capability: (i32, i32),
    macros: &[(&str, usize)],
) -> Result<Compiled, String> {
    let text = CString::new(format!("{PRELUDE}\n{source}"))
        .map_err(|_| "the source has a zero byte".to_owned())?;
    let options = options(capability, macros);
    let program = nvrtc::create_program(&text, None).map_err(|e| format!("{e:?}"))?;
    // SAFETY: `program` is live until it is destroyed below, and buffers have
    // the sizes that NVRTC asked for.
    unsafe {
        let compiled = nvrtc::compile_program(program, &options);
        let log = nvrtc::get_program_log(program).unwrap_or_default();
        let log: Vec<u8> = log.iter().map(|&c| c.cast_unsigned()).collect();
        let log = CStr::from_bytes_until_nul(&log)
            .map_or_else(|_| String::new(), |log| log.to_string_lossy().into_owned());
        let cubin = compiled
            .and_then(|()| {
                let mut size = 0;
                sys::nvrtcGetCUBINSize(program, &raw mut size).result()?;
                let mut cubin = vec![0u8; size];
                sys::nvrtcGetCUBIN(program, cubin.as_mut_ptr().cast()).result()?;
                Ok(cubin)
            })
            .map_err(|e| {
                let version = nvrtc_version().map_or(String::new(), |(major, minor)| {
                    format!(" (by NVRTC {major}.{minor})")
                });
                format!("{e:?}{version}\n{log}")
            });
        let _ = nvrtc::destroy_program(program);
        Ok(Compiled { cubin: cubin?, log })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::cuda::{attention_kernels, grouped};
    use crate::layers::attention::Shape;
    use attention_kernels::Variant;

    #[test]
    fn names_are_found() {
        let source = "extern \"C\" __global__ void __launch_bounds__(512, 2)\nfirst(int a) {}\n\
                      extern \"C\" __global__ void second(float* x) {}";
        assert_eq!(
            kernel_names(source).collect::<Vec<_>>(),
            ["first", "second"]
        );
    }

    /// Compiles every kernel to machine code, as a card's driver would want it;
    /// this needs NVRTC but no GPU.
    #[test]
    fn every_kernel_compiles_without_warnings_and_spills() {
        // SAFETY: this only tries to load a library.
        if !unsafe { sys::is_culib_present() } {
            assert!(
                std::env::var_os("CI").is_none(),
                "libnvrtc is missing; .ci/run puts it on LD_LIBRARY_PATH"
            );
            eprintln!("skipped: libnvrtc is not on this machine");
            return;
        }
        let heads = [(64, 3), (128, 4), (128, 8), (64, 8)];
        let with_heads = heads.iter().flat_map(|&(head_dim, group)| {
            let shape = Shape {
                heads: group,
                kv_heads: 1,
                head_dim,
            };
            let variants = [Variant::Full, Variant::Sight];
            variants.into_iter().flat_map(move |variant| {
                let with = move |source| (source, attention_kernels::macros(shape, variant));
                attention_kernels::SOURCES.iter().map(with)
            })
        });
        let of_experts = grouped::TILE_ROWS.into_iter().flat_map(|rows| {
            [false, true].into_iter().flat_map(move |packed| {
                let with = move |source| (source, grouped::macros(rows, packed));
                grouped::PRODUCTS.iter().map(with)
            })
        });
        let sources: Vec<_> = COMMON
            .iter()
            .map(|source| (source, Vec::new()))
            .chain(with_heads)
            .chain(grouped::ROWS.iter().map(|source| (source, Vec::new())))
            .chain(of_experts)
            .collect();
        for capability in [(8, 0), (8, 9), (9, 0)] {
            for ((name, source), macros) in &sources {
                let compiled = compile(source, capability, macros)
                    .unwrap_or_else(|log| panic!("{name} {capability:?} {macros:?}: {log}"));
                let log = compiled.log.to_lowercase();
                assert!(!log.contains("warning"), "{name} {capability:?}: {log}");
                let spills = log.lines().filter(|line| line.contains("spill"));
                for line in spills {
                    assert!(
                        line.contains("0 bytes spill stores, 0 bytes spill loads"),
                        "{name} {capability:?} {macros:?}: {line}"
                    );
                }
                assert!(
                    log.contains("registers"),
                    "{name}: ptxas said nothing: {log}"
                );
                assert!(kernel_names(source).count() > 0, "{name}");
            }
        }
    }
}
