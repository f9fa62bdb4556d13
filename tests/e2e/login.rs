//! Logging in as people do: the client shows a code, a browser confirms it.

use cmdop_tests::browser::{Browser, Page};
use cmdop_tests::cli::{self, Cli};
use cmdop_tests::{World, wait};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

const PASSWORD: &str = "correct horse battery staple";

#[tokio::test]
async fn a_person_logs_in_by_device_code_and_is_who_they_said() {
    let world = world_with_password().await;
    let cli = world.stranger("laptop");
    let (child, url) = start_login(&world, &cli).await;
    let mut browser = Browser::new(&world.control.ca_pem());
    let page = approve(&mut browser, &url, PASSWORD).await;
    assert_eq!(page.status, 200, "{}", page.html);
    cli::finish(child, b"").await.ok();
    let who = cli.run(&["whoami"]).await.ok();
    assert!(who.contains("mona") && who.contains("member"), "{who}");
    assert_eq!(
        cli.run(&["exec", "web-1", "--", "echo", "in"]).await.ok(),
        "in\n"
    );
    cli.run(&["logout"]).await.ok();
    cli.run(&["whoami"]).await.refused(77, &["cmdop login"]);
}

#[tokio::test]
async fn a_wrong_password_lets_nobody_in() {
    let world = world_with_password().await;
    let cli = world.stranger("laptop");
    let (mut child, url) = start_login(&world, &cli).await;
    let mut browser = Browser::new(&world.control.ca_pem());
    let page = browser.open(&url).await;
    let form = page.form_with(&["password"]);
    let page = browser.submit(&page, &fill(form, "wrong")).await;
    assert!(
        page.forms()
            .iter()
            .any(|form| form.fields.contains_key("password")),
        "it asks again: {}",
        page.html
    );
    assert!(
        child.try_wait().unwrap().is_none(),
        "the client goes on waiting"
    );
}

#[tokio::test]
async fn a_code_that_is_denied_ends_the_login() {
    let world = world_with_password().await;
    let cli = world.stranger("laptop");
    let (child, url) = start_login(&world, &cli).await;
    let mut browser = Browser::new(&world.control.ca_pem());
    let page = to_decision(&mut browser, &url, PASSWORD).await;
    let form = decision(&page).press("deny");
    browser.submit(&page, &form).await;
    let outcome = cli::finish(child, b"").await;
    assert_eq!(outcome.status, 77, "{outcome:?}");
}

#[tokio::test]
async fn the_pages_do_not_let_another_site_decide() {
    let world = world_with_password().await;
    let cli = world.stranger("laptop");
    let (_child, url) = start_login(&world, &cli).await;
    let mut browser = Browser::new(&world.control.ca_pem());
    let page = to_decision(&mut browser, &url, PASSWORD).await;
    // A foreign page can send the fields that it can guess, not what stands hidden in ours.
    let mut form = decision(&page).press("approve");
    let hidden: Vec<_> = form
        .fields
        .keys()
        .filter(|field| field.contains("csrf") || field.contains("token"))
        .cloned()
        .collect();
    assert!(!hidden.is_empty(), "{form:?}");
    for field in hidden {
        form.fields.insert(field, "guessed".into());
    }
    let refused = browser.submit(&page, &form).await;
    assert!(
        (400..500).contains(&refused.status),
        "{}: {}",
        refused.status,
        refused.html
    );
}

async fn world_with_password() -> World {
    let world = World::start().await;
    world
        .control
        .admin(&["create-account", "mona", "--role", "member"])
        .await
        .ok();
    world
        .control
        .admin_with(
            &["set-password", "mona", "--password-stdin"],
            PASSWORD.as_bytes(),
        )
        .await
        .ok();
    world
}

/// Starts `cmdop login` and reads the address that it shows, code included.
async fn start_login(world: &World, cli: &Cli) -> (Child, String) {
    let ca = world.control.data().join("ca.pem");
    let url = world.control.url();
    let mut child = cli.start(&["login", &url, "--ca", ca.to_str().unwrap()]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = String::new();
    let search = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(at) = line.find("https://").filter(|_| line.contains("code=")) {
                return line[at..].split_whitespace().next().unwrap().to_owned();
            }
            said.push_str(&line);
            said.push('\n');
        }
        panic!("the client shows no address:\n{said}");
    };
    let found = wait::within("the client shows an address with a code", search).await;
    child.stderr = Some(lines.into_inner().into_inner());
    (child, found)
}

async fn approve(browser: &mut Browser, url: &str, password: &str) -> Page {
    let page = to_decision(browser, url, password).await;
    let form = decision(&page).press("approve");
    browser.submit(&page, &form).await
}

/// Opens the address, logs in when asked, and confirms the code when asked.
async fn to_decision(browser: &mut Browser, url: &str, password: &str) -> Page {
    let mut page = browser.open(url).await;
    for _ in 0..4 {
        if page
            .forms()
            .iter()
            .any(|form| form.fields.contains_key("password"))
        {
            let form = fill(page.form_with(&["password"]), password);
            page = browser.submit(&page, &form).await;
        } else if page.forms().iter().any(|form| form.buttons.len() > 1) {
            return page;
        } else {
            let form = page.form_with(&["user_code"]);
            page = browser.submit(&page, &form).await;
        }
    }
    panic!("no decision is asked for:\n{}", page.html);
}

fn decision(page: &Page) -> cmdop_tests::browser::Form {
    page.forms()
        .into_iter()
        .find(|form| form.buttons.len() > 1)
        .expect("a form with two buttons")
}

fn fill(form: cmdop_tests::browser::Form, password: &str) -> cmdop_tests::browser::Form {
    let name = ["name", "account", "username"]
        .into_iter()
        .find(|field| form.fields.contains_key(*field));
    form.set(name.expect("a field for the name"), "mona")
        .set("password", password)
}
