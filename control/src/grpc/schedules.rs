//! `SchedulesService`: what is run at which times, and what came of it.

use cmdop_proto::limits::MAX_NAME;
use cmdop_proto::v1::schedules_service_server::SchedulesService;
use cmdop_proto::v1::{
    CreateScheduleRequest, GetScheduleRequest, ListRunsRequest, ListRunsResponse,
    ListSchedulesRequest, ListSchedulesResponse, RemoveScheduleRequest, RemoveScheduleResponse,
    RunOutputRequest, RunOutputResponse, RunScheduleRequest, RunScheduleResponse,
    UpdateScheduleRequest,
};
use cmdop_proto::{AccountId, Refusal, RunId, text, v1};
use prost::Message as _;
use tonic::{Request, Response, Status};

use super::bearer::Caller;
use crate::names;
use crate::permission::Action;
use crate::plane::Shared;
use crate::schedules::spec::Spec;
use crate::store::{
    NewSchedule, Paused, SCHEDULE_PAGE, Schedule, ScheduleError, ScheduleRun, Target,
};

/// What one answer with output may take: it fits a frame. One machine alone always does.
const MAX_BYTES: usize = 900 << 10;

/// The service.
#[derive(Debug)]
pub(super) struct Schedules(pub Shared);

#[tonic::async_trait]
impl SchedulesService for Schedules {
    async fn create(
        &self,
        request: Request<CreateScheduleRequest>,
    ) -> Result<Response<v1::Schedule>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::ChangeSchedules)
            .await?;
        // It gives nothing that the caller's own token does not have.
        plane.must_be_allowed(&caller, Action::RunPrograms).await?;
        let wanted = request.into_inner();
        let request_id = request_id(&wanted.request_id)?;
        let new = NewSchedule {
            name: names::schedule(&wanted.name)?,
            owner: &caller.account,
            key: caller.key,
            spec: Spec::read(wanted.spec.unwrap_or_default())?,
            request_id: &request_id,
        };
        let made = caller
            .workspace
            .add_schedule(new, plane.clock.now_ms())
            .await;
        let made = made.map_err(|error| refusal(error, &wanted.name))?;
        plane.schedules_changed.notify_one();
        Ok(Response::new(on_the_wire(made, None)))
    }

    async fn list(
        &self,
        request: Request<ListSchedulesRequest>,
    ) -> Result<Response<ListSchedulesResponse>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::SeeSchedules)
            .await?;
        let after = &request.get_ref().after;
        let owner = seen_only(&caller).await?;
        let found = caller.workspace.schedules_after(after, owner).await;
        let mut found = found.map_err(Refusal::from)?;
        let has_more = found.len() > SCHEDULE_PAGE as usize;
        found.truncate(SCHEDULE_PAGE as usize);
        let last = caller.workspace.last_runs(&found).await;
        let last = last.map_err(Refusal::from)?;
        let shown = found.into_iter().zip(last);
        let mut bytes = 0;
        let all: Vec<_> = shown
            .map(|(schedule, run)| on_the_wire(schedule, run))
            .collect();
        let count = all.len();
        let schedules: Vec<_> = all
            .into_iter()
            .take_while(|schedule| {
                let is_first = bytes == 0;
                bytes += schedule.encoded_len() + 8;
                is_first || bytes <= MAX_BYTES
            })
            .collect();
        Ok(Response::new(ListSchedulesResponse {
            has_more: has_more || schedules.len() < count,
            schedules,
        }))
    }

    async fn get(
        &self,
        request: Request<GetScheduleRequest>,
    ) -> Result<Response<v1::Schedule>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::SeeSchedules)
            .await?;
        let name = &request.get_ref().schedule;
        let found = find(&caller, name).await?;
        Ok(Response::new(with_last_run(&caller, found).await?))
    }

    async fn update(
        &self,
        request: Request<UpdateScheduleRequest>,
    ) -> Result<Response<v1::Schedule>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::ChangeSchedules)
            .await?;
        let (name, paused) = match request.get_ref() {
            asked if asked.paused => (&asked.schedule, Paused::Yes),
            asked => (&asked.schedule, Paused::No),
        };
        if paused == Paused::No {
            plane.must_be_allowed(&caller, Action::RunPrograms).await?;
        }
        let changed = caller
            .workspace
            .pause_schedule(name, own_only(&caller), paused, plane.clock.now_ms())
            .await;
        let changed = self.judged(&caller, changed, name).await?;
        plane.schedules_changed.notify_one();
        Ok(Response::new(with_last_run(&caller, changed).await?))
    }

    async fn remove(
        &self,
        request: Request<RemoveScheduleRequest>,
    ) -> Result<Response<RemoveScheduleResponse>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::ChangeSchedules)
            .await?;
        let name = &request.get_ref().schedule;
        let removed = caller
            .workspace
            .remove_schedule(name, own_only(&caller), plane.clock.now_ms())
            .await;
        self.judged(&caller, removed, name).await?;
        Ok(Response::new(RemoveScheduleResponse {}))
    }

    async fn run_now(
        &self,
        request: Request<RunScheduleRequest>,
    ) -> Result<Response<RunScheduleResponse>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::ChangeSchedules)
            .await?;
        plane.must_be_allowed(&caller, Action::RunPrograms).await?;
        let asked = request.get_ref();
        let request_id = request_id(&asked.request_id)?;
        let made = caller
            .workspace
            .run_schedule(
                &asked.schedule,
                own_only(&caller),
                (&request_id, &caller.account.name),
                plane.clock.now_ms(),
            )
            .await;
        let made = self.judged(&caller, made, &asked.schedule).await?;
        plane.schedules_changed.notify_one();
        Ok(Response::new(RunScheduleResponse {
            run_id: made.to_string(),
        }))
    }

    async fn runs(
        &self,
        request: Request<ListRunsRequest>,
    ) -> Result<Response<ListRunsResponse>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::SeeSchedules)
            .await?;
        let asked = request.get_ref();
        let after = after(&asked.after)?;
        find(&caller, &asked.schedule).await?;
        let page = caller
            .workspace
            .schedule_runs(&asked.schedule, after, asked.limit)
            .await;
        let (runs, next) = page.map_err(|error| refusal(error, &asked.schedule))?;
        Ok(Response::new(ListRunsResponse {
            runs: runs.into_iter().map(run_on_the_wire).collect(),
            next: next.map_or_else(String::new, |(ms, run)| format!("{ms}/{run}")),
        }))
    }

    async fn output(
        &self,
        request: Request<RunOutputRequest>,
    ) -> Result<Response<RunOutputResponse>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::SeeSchedules)
            .await?;
        let asked = request.get_ref();
        let schedule = find(&caller, &asked.schedule).await?;
        let run = find_run(&caller, &schedule, &asked.run_id).await?;
        let targets = caller.workspace.run_targets(run.id).await;
        let targets = targets.map_err(Refusal::from)?.into_iter();
        let all: Vec<_> = targets
            .filter(|target| target.machine > asked.after)
            .map(target_on_the_wire)
            .collect();
        let (mut bytes, count) = (0, all.len());
        let targets: Vec<_> = all
            .into_iter()
            .take_while(|target| {
                let is_first = bytes == 0;
                bytes += target.encoded_len() + 8;
                is_first || bytes <= MAX_BYTES
            })
            .collect();
        Ok(Response::new(RunOutputResponse {
            run: Some(run_on_the_wire(run)),
            has_more: targets.len() < count,
            targets,
        }))
    }
}

impl Schedules {
    /// The result, or the refusal: a change of what is somebody else's is recorded.
    async fn judged<T>(
        &self,
        caller: &Caller<'_>,
        result: Result<T, ScheduleError>,
        name: &str,
    ) -> Result<T, Refusal> {
        match result {
            Err(ScheduleError::NotOwn { .. }) => {
                let denied = self.0.must_be_allowed(caller, Action::SchedulesOfOthers);
                denied.await?;
                // It may by now: then the next attempt will.
                Err(Refusal::denied(
                    "role-too-low",
                    "it is somebody else's schedule",
                ))
            }
            Err(error) => Err(refusal(error, name)),
            Ok(done) => Ok(done),
        }
    }
}

/// Whose schedules the caller may change: their own, or (nobody) anybody's.
fn own_only(caller: &Caller<'_>) -> Option<AccountId> {
    (!caller.also_may(Action::SchedulesOfOthers)).then_some(caller.account.id)
}

/// Whose schedules the caller knows of: anybody's (nobody), or only their own, when they are kept to fleets:
/// those of others say what is on machines that they do not reach.
async fn seen_only(caller: &Caller<'_>) -> Result<Option<AccountId>, Refusal> {
    Ok((!caller.reach().await?.is_all()).then_some(caller.account.id))
}

async fn find(caller: &Caller<'_>, name: &str) -> Result<Schedule, Refusal> {
    let found = caller.workspace.schedule(name).await;
    let found = found.map_err(|error| refusal(error, name))?;
    match seen_only(caller).await? {
        Some(own) if found.owner != own => Err(refusal(ScheduleError::Unknown, name)),
        _ => Ok(found),
    }
}

async fn find_run(
    caller: &Caller<'_>,
    schedule: &Schedule,
    run: &str,
) -> Result<ScheduleRun, Refusal> {
    let workspace = &caller.workspace;
    if run.is_empty() {
        let last = workspace.last_runs(std::slice::from_ref(schedule)).await?;
        return last.into_iter().flatten().next().ok_or_else(|| {
            Refusal::not_found("run-unknown", format!("{} has not run yet", schedule.name))
        });
    }
    let found = match run.parse::<RunId>() {
        Ok(id) => workspace.schedule_run(schedule, id).await,
        Err(_) => Err(ScheduleError::UnknownRun),
    };
    found.map_err(|error| refusal(error, run))
}

async fn with_last_run(caller: &Caller<'_>, schedule: Schedule) -> Result<v1::Schedule, Refusal> {
    let last = caller.workspace.last_runs(std::slice::from_ref(&schedule));
    let last = last.await?.into_iter().flatten().next();
    Ok(on_the_wire(schedule, last))
}

/// It must be a UUID, so that it cannot be taken for a time, which names a run as well.
fn request_id(text: &str) -> Result<String, Refusal> {
    Ok(text.parse::<RunId>()?.to_string())
}

fn after(text: &str) -> Result<Option<(u64, RunId)>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || Refusal::invalid("bad-request", "the page is not one of this listing's");
    let (ms, run) = text.split_once('/').ok_or_else(wrong)?;
    let ms = ms.parse().map_err(|_| wrong())?;
    Ok(Some((ms, run.parse()?)))
}

fn on_the_wire(schedule: Schedule, last: Option<ScheduleRun>) -> v1::Schedule {
    v1::Schedule {
        id: schedule.id.to_string(),
        name: schedule.name,
        spec: Some(schedule.spec.on_the_wire()),
        owner_name: schedule.owner_name,
        created_at_ms: schedule.created_at_ms,
        paused_at_ms: schedule.paused_at_ms.unwrap_or_default(),
        next_due_ms: schedule.next_due_ms.unwrap_or_default(),
        last_run: last.map(run_on_the_wire),
    }
}

fn run_on_the_wire(run: ScheduleRun) -> v1::ScheduleRun {
    v1::ScheduleRun {
        id: run.id.to_string(),
        due_at_ms: run.due_at_ms,
        requested_by: run.requested_by,
        state: run.state.on_the_wire().into(),
        reason: run.reason,
        started_at_ms: run.started_at_ms.unwrap_or_default(),
        ended_at_ms: run.ended_at_ms.unwrap_or_default(),
        machines: run.machines as u32,
        succeeded: run.succeeded as u32,
    }
}

fn target_on_the_wire(target: Target) -> v1::ScheduleTarget {
    v1::ScheduleTarget {
        machine: target.machine,
        state: target.state.on_the_wire().into(),
        reason: target.reason,
        attempts: target.attempts as u32,
        run_id: target.exec_id.to_string(),
        started_at_ms: target.started_at_ms.unwrap_or_default(),
        ended_at_ms: target.ended_at_ms.unwrap_or_default(),
        exit_code: target.exit_code.map(u32::from),
        stdout_bytes: target.stdout_bytes,
        stderr_bytes: target.stderr_bytes,
        tail: Some(target.tail),
    }
}

fn refusal(error: ScheduleError, name: &str) -> Refusal {
    let name = text::shown(name, MAX_NAME);
    let message = error.to_string();
    match error {
        ScheduleError::Unknown => {
            Refusal::not_found("schedule-unknown", format!("there is no schedule {name}"))
                .hint("`cmdop schedules` lists them")
        }
        ScheduleError::UnknownRun => {
            Refusal::not_found("run-unknown", format!("there is no run {name} of it"))
                .hint("`cmdop schedules log SCHEDULE` lists them")
        }
        ScheduleError::NameTaken => Refusal::invalid(
            "schedule-name-taken",
            format!("the workspace has a schedule named {name} already"),
        )
        .hint("choose another name"),
        ScheduleError::NotOwn { .. } => Refusal::denied("role-too-low", message),
        ScheduleError::TooMany => Refusal::exhausted("too-many-schedules", message)
            .hint("remove those that are not needed"),
        ScheduleError::TooManyRuns => {
            Refusal::exhausted("too-many-runs", message).hint("wait for the end of some")
        }
        ScheduleError::Never => Refusal::invalid("bad-request", message)
            .hint("a single time must be to come, and the days of a month must exist"),
        ScheduleError::Due(_) => Refusal::invalid("bad-request", message).hint(
            "five fields: minute, hour, day of month, month, day of week; \
             a time zone as Europe/Berlin",
        ),
        ScheduleError::Store(error) => error.into(),
    }
}
