//! The command line: which flags there are, and what the broker is to run with.
//!
//! Decided here: how flags, the file of `--config` and `--set` become one [`Serve`]. What a setting
//! means and which values it takes is in [`settings`](Settings); nothing here starts anything.

mod endpoint;
mod file;
mod known;
mod listeners;
mod settings;
mod show;
mod value;
mod variables;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use variables::Variables;

pub use endpoint::{Endpoint, EndpointError};
pub use file::{FileError, read_settings_file};
pub use known::{Kind, Known, known_settings};
pub use listeners::ListenerSpec;
pub use settings::{
    ClassicServerAssignor, Durability, Effective, SettingError, Settings, Source, resolve,
};
pub use show::{Origin, meaning, meanings, show};
pub use value::ValueError;
pub use variables::VariableError;

/// The exit code of a command line or a setting that is wrong.
pub const EXIT_USAGE: u8 = 2;

/// A Kafka-compatible broker on one machine.
#[derive(Debug, Parser)]
#[command(name = "quorate", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the broker (what `quorate` without a subcommand does)
    Serve(ServeArgs),
    /// Print every setting with its value, default, source and meaning, as a settings file
    Config(ConfigArgs),
}

/// Where settings are from.
#[derive(Debug, Args)]
struct ConfigArgs {
    /// TOML file of settings under Kafka's names
    #[arg(long, value_name = "FILE", env = "QUORATE_CONFIG")]
    config: Option<PathBuf>,
    /// A setting under Kafka's name; wins over the file and over variables; may be repeated, the
    /// last one wins
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// Address to listen on; wins over the setting `listeners` [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT", env = "QUORATE_LISTEN")]
    listen: Option<Endpoint>,
    /// Address of /healthz, /readyz and /metrics; none unless given
    #[arg(long, value_name = "HOST:PORT", env = "QUORATE_ADMIN")]
    admin: Option<Endpoint>,
    /// Folder that holds topics, records and offsets
    #[arg(
        long,
        value_name = "DIR",
        default_value = "./quorate-data",
        env = "QUORATE_DATA",
        conflicts_with = "ephemeral"
    )]
    data: PathBuf,
    /// Keep everything in memory: all is gone when the broker stops
    #[arg(long, env = "QUORATE_EPHEMERAL")]
    ephemeral: bool,
    #[command(flatten)]
    settings: ConfigArgs,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run the broker.
    Serve(Box<Serve>),
    /// Print this.
    Print(String),
}

/// What the broker runs with: the settings, and where its data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serve {
    /// The settings of the broker.
    pub settings: Settings,
    /// Where topics, records and offsets are kept.
    pub data: Data,
    /// Where the operator's endpoint listens, if it does.
    pub admin: Option<Endpoint>,
}

/// Where topics, records and offsets are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// In this folder, made at the first start.
    Folder(PathBuf),
    /// In memory only (`--ephemeral`).
    Ephemeral,
}

/// A command line that parses but asks for what cannot be; [`EXIT_USAGE`] is its exit code.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The file of `--config` cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A variable is of no setting.
    #[error(transparent)]
    Variable(#[from] VariableError),
    /// A setting is unknown or has a value that Kafka would not take.
    #[error(transparent)]
    Setting(#[from] SettingError),
}

/// Settings by name, and who has set each.
type Given = (BTreeMap<String, String>, BTreeMap<String, Origin>);

impl ConfigArgs {
    /// Reads the settings file, if one is given, puts the variables over it, and over those the
    /// flags.
    fn given(self, variables: Variables<'_>) -> Result<Given, CliError> {
        let mut given = match &self.config {
            Some(path) => read_settings_file(path)?,
            None => BTreeMap::new(),
        };
        let mut origins: BTreeMap<String, Origin> =
            given.keys().map(|name| (name.clone(), Origin::File)).collect();
        let variables = variables::settings(variables)?;
        origins.extend(variables.keys().map(|name| (name.clone(), Origin::Variable)));
        given.extend(variables);
        origins.extend(self.set.iter().map(|(name, _)| (name.clone(), Origin::Flag)));
        given.extend(self.set);
        Ok((given, origins))
    }
}

impl Cli {
    /// What is to be done, with the variables of the process given.
    pub fn action(self, variables: Variables<'_>) -> Result<Action, CliError> {
        let args = match self.command {
            Some(Command::Config(args)) => {
                let (given, origins) = args.given(variables)?;
                return Ok(Action::Print(show(&resolve(given)?, &origins)));
            }
            Some(Command::Serve(args)) => args,
            None => self.serve,
        };
        let (mut given, _) = args.settings.given(variables)?;
        if let Some(listen) = args.listen {
            given.insert("listeners".to_owned(), format!("PLAINTEXT://{listen}"));
        }
        let settings = resolve(given)?;
        let data = if args.ephemeral { Data::Ephemeral } else { Data::Folder(args.data) };
        Ok(Action::Serve(Box::new(Serve { settings, data, admin: args.admin })))
    }

    /// What the broker is to run with, of a command line that runs it, without variables.
    pub fn serve(self) -> Result<Serve, CliError> {
        match self.action(&mut std::iter::empty())? {
            Action::Serve(serve) => Ok(*serve),
            Action::Print(_) => unreachable!("this command line does not run the broker"),
        }
    }
}

/// Splits `KEY=VALUE` at the first `=`; the value may be empty and may hold more of them.
fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err("it is to be KEY=VALUE, for example num.partitions=3".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(args: &[&str]) -> Result<Serve, String> {
        let args = std::iter::once("quorate").chain(args.iter().copied());
        let cli = Cli::try_parse_from(args).map_err(|error| error.kind().to_string())?;
        cli.serve().map_err(|error| error.to_string())
    }

    #[test]
    fn without_flags_the_broker_listens_on_loopback_and_keeps_its_data_in_quorate_data() {
        let expected = Serve {
            settings: Settings::default(),
            data: Data::Folder(PathBuf::from("./quorate-data")),
            admin: None,
        };
        assert_eq!(serve(&[]), Ok(expected.clone()));
        assert_eq!(serve(&["serve"]), Ok(expected));
        assert_eq!(Settings::default().listeners[0].listen.to_string(), "127.0.0.1:9092");
    }

    #[test]
    fn flags_mean_the_same_with_and_without_the_subcommand() {
        let flags = ["--listen", "[::1]:0", "--ephemeral", "--set", "num.partitions=3"];
        let bare = serve(&flags);
        let named = serve(&[&["serve"], &flags[..]].concat());
        assert_eq!(bare, named);
        let bare = bare.expect("flags that are right");
        assert_eq!(bare.data, Data::Ephemeral);
        assert_eq!(bare.settings.listeners[0].listen, Endpoint::new("::1", 0));
        assert_eq!(bare.settings.num_partitions, 3);
    }

    #[test]
    fn listen_wins_over_the_setting_listeners() {
        let both = ["--set", "listeners=PLAINTEXT://a:1", "--listen", "b:2"];
        let listen = serve(&both).map(|serve| serve.settings.listeners[0].listen.clone());
        assert_eq!(listen, Ok(Endpoint::new("b", 2)));
    }

    #[test]
    fn the_last_of_two_values_for_a_setting_wins() {
        let twice = ["--set", "num.partitions=3", "--set", "num.partitions=4"];
        assert_eq!(serve(&twice).map(|serve| serve.settings.num_partitions), Ok(4));
    }

    #[test]
    fn a_flag_that_is_wrong_is_a_usage_error() {
        let invalid = "invalid value for one of the arguments";
        assert_eq!(serve(&["--set", "num.partitions"]), Err(invalid.to_owned()));
        assert_eq!(serve(&["--listen", "nowhere"]), Err(invalid.to_owned()));
        assert_eq!(
            serve(&["--ephemeral", "--data", "d"]),
            Err("an argument cannot be used with one or more of the other specified arguments"
                .to_owned())
        );
    }
}
