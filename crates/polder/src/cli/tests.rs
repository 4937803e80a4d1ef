use clap::{CommandFactory, Parser};

use super::{AuthChoice, Cli, Command, Format, TopicsSync};

fn parse(line: &str) -> Result<Command, clap::Error> {
    Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.command)
}

#[test]
fn the_definition_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn up_has_its_defaults() {
    let Ok(Command::Up(args)) = parse("polder up") else { panic!("not up") };
    assert_eq!(args.http, "127.0.0.1:7400");
    assert_eq!(args.postgres, "127.0.0.1:7432");
    assert_eq!(args.kafka, "127.0.0.1:7492");
    assert_eq!(args.aws, "127.0.0.1:7466");
    assert_eq!(args.topics_sync, TopicsSync::Disk);
    assert_eq!(args.auth, AuthChoice::Password);
    assert!(!args.demo);
    assert_eq!(args.directory.data.to_str(), Some("./polder-data"));
}

#[test]
fn sql_takes_several_inputs() {
    let Ok(Command::Sql(args)) = parse("polder sql -c A -f b.sql -c C --format ndjson -o out") else {
        panic!("not sql")
    };
    assert_eq!(args.commands, ["A", "C"]);
    assert_eq!(args.files.len(), 1);
    assert_eq!(args.format, Format::Ndjson);
}

#[test]
fn what_contradicts_itself_is_refused() {
    for line in [
        "polder",
        "polder nosuch",
        "polder load",
        "polder load x.csv --append --replace",
        "polder load x.csv --header --no-header",
        "polder sql --format xml",
        "polder up --auth nobody",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn nulls_are_a_list() {
    let Ok(Command::Load(args)) = parse("polder load x.csv --nulls NA,- --type a=text") else { panic!("not load") };
    assert_eq!(args.corrections.nulls, Some(vec!["NA".to_owned(), "-".to_owned()]));
}
