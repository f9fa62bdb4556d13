//! Generates the Rust code of `cmdop.v1` without a system protoc.

const FILES: [&str; 11] = [
    "cmdop/v1/common.proto",
    "cmdop/v1/session.proto",
    "cmdop/v1/exec.proto",
    "cmdop/v1/files.proto",
    "cmdop/v1/fleet.proto",
    "cmdop/v1/agent.proto",
    "cmdop/v1/control.proto",
    "cmdop/v1/workspace.proto",
    "cmdop/v1/audit.proto",
    "cmdop/v1/catalogue.proto",
    "cmdop/v1/schedules.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["."])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(
        out.join("cmdop.v1.bin"),
        prost::Message::encode_to_vec(&descriptors),
    )?;
    // Without the generated `connect` helpers: our own dialler makes channels, and one of the methods is named Connect.
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".")
        .compile_fds(descriptors)?;
    Ok(())
}
