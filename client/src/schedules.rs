//! Schedules: programs that the control plane has run at their times.

use cmdop_proto::{RunId, v1};

use crate::connection::{Connection, Repeat, Target};
use crate::error::Error;

/// All schedules of the workspace, by name.
pub async fn list(connection: &Connection) -> Result<Vec<v1::Schedule>, Error> {
    let mut all: Vec<v1::Schedule> = Vec::new();
    loop {
        let after = all.last().map(|schedule| schedule.name.clone());
        let request = v1::ListSchedulesRequest {
            after: after.unwrap_or_default(),
        };
        let page = connection
            .call(
                Target::Control,
                "listing schedules",
                Repeat::Harmless,
                request,
                |control, request| async move { control.schedules().list(request).await },
            )
            .await?;
        // A server that says so without a schedule would be asked the same for ever.
        let has_more = page.has_more && !page.schedules.is_empty();
        all.extend(page.schedules);
        if !has_more {
            return Ok(all);
        }
    }
}

/// The schedule of that name or id.
pub async fn get(connection: &Connection, schedule: &str) -> Result<v1::Schedule, Error> {
    let request = v1::GetScheduleRequest {
        schedule: schedule.to_owned(),
    };
    connection
        .call(
            Target::Control,
            "asking for the schedule",
            Repeat::Harmless,
            request,
            |control, request| async move { control.schedules().get(request).await },
        )
        .await
}

/// Makes a schedule of the caller's.
pub async fn create(
    connection: &Connection,
    name: &str,
    spec: v1::ScheduleSpec,
) -> Result<v1::Schedule, Error> {
    let request = v1::CreateScheduleRequest {
        request_id: RunId::new().to_string(),
        name: name.to_owned(),
        spec: Some(spec),
    };
    connection
        .call(
            Target::Control,
            "making the schedule",
            Repeat::Harmless,
            request,
            |control, request| async move { control.schedules().create(request).await },
        )
        .await
}

/// Stops a schedule's times from coming.
pub async fn pause(connection: &Connection, schedule: &str) -> Result<v1::Schedule, Error> {
    let request = v1::UpdateScheduleRequest {
        schedule: schedule.to_owned(),
        paused: true,
    };
    update(connection, request).await
}

/// Lets them come again.
pub async fn resume(connection: &Connection, schedule: &str) -> Result<v1::Schedule, Error> {
    let request = v1::UpdateScheduleRequest {
        schedule: schedule.to_owned(),
        paused: false,
    };
    update(connection, request).await
}

async fn update(
    connection: &Connection,
    request: v1::UpdateScheduleRequest,
) -> Result<v1::Schedule, Error> {
    connection
        .call(
            Target::Control,
            "changing the schedule",
            Repeat::Harmless,
            request,
            |control, request| async move { control.schedules().update(request).await },
        )
        .await
}

/// Forgets a schedule with its history.
pub async fn remove(connection: &Connection, schedule: &str) -> Result<(), Error> {
    let request = v1::RemoveScheduleRequest {
        schedule: schedule.to_owned(),
    };
    connection
        .call(
            Target::Control,
            "removing the schedule",
            Repeat::Never,
            request,
            |control, request| async move { control.schedules().remove(request).await },
        )
        .await
        .map(drop)
}

/// One run besides, now; answers its id.
pub async fn run(connection: &Connection, schedule: &str) -> Result<String, Error> {
    let request = v1::RunScheduleRequest {
        schedule: schedule.to_owned(),
        request_id: RunId::new().to_string(),
    };
    let answer = connection
        .call(
            Target::Control,
            "asking for a run",
            Repeat::Harmless,
            request,
            |control, request| async move { control.schedules().run_now(request).await },
        )
        .await?;
    Ok(answer.run_id)
}

/// The newest runs of a schedule, at most `count`, the newest first.
pub async fn runs(
    connection: &Connection,
    schedule: &str,
    count: u32,
) -> Result<Vec<v1::ScheduleRun>, Error> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let missing = count.saturating_sub(all.len() as u32);
        let request = v1::ListRunsRequest {
            schedule: schedule.to_owned(),
            after,
            limit: missing.clamp(1, 100),
        };
        let page = connection
            .call(
                Target::Control,
                "listing runs",
                Repeat::Harmless,
                request,
                |control, request| async move { control.schedules().runs(request).await },
            )
            .await?;
        let is_last = page.next.is_empty() || page.runs.is_empty();
        all.extend(page.runs);
        if is_last || all.len() as u32 >= count {
            all.truncate(count as usize);
            return Ok(all);
        }
        after = page.next;
    }
}

/// A run with all its machines and the end of what was written there. Without a `run`, the newest.
pub async fn output(
    connection: &Connection,
    schedule: &str,
    run: Option<&str>,
) -> Result<(v1::ScheduleRun, Vec<v1::ScheduleTarget>), Error> {
    let mut run_id = run.unwrap_or_default().to_owned();
    let mut targets: Vec<v1::ScheduleTarget> = Vec::new();
    loop {
        let after = targets.last().map(|target| target.machine.clone());
        let request = v1::RunOutputRequest {
            schedule: schedule.to_owned(),
            run_id,
            after: after.unwrap_or_default(),
        };
        let page = connection
            .call(
                Target::Control,
                "asking for the run",
                Repeat::Harmless,
                request,
                |control, request| async move { control.schedules().output(request).await },
            )
            .await?;
        let found = page.run.unwrap_or_default();
        let has_more = page.has_more && !page.targets.is_empty();
        targets.extend(page.targets);
        if !has_more {
            return Ok((found, targets));
        }
        // What is newest may change from page to page.
        run_id = found.id;
    }
}
