//! The start of a broker, in the order in which a failure costs least: addresses, then the data directory, then the logs.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, RwLock},
};

use riverrun_core::{
    NodeId, Uuid,
    budget::StateBudget,
    log::{BoundedVfs, DirectoryIdentity, LogDirectory, OpenProgress, OsVfs, PRODUCERS_MAX, SimulatedVfs, Vfs},
    metadata::MetadataRecord,
    protocol::records::FeatureLevelRecord,
};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Broker, StartError,
    api::{FetchSessions, METADATA_VERSION},
    broker::Inner,
    builder::{BrokerBuilder, DataPlace},
    clock::Clock,
    config::BrokerConfig,
    endpoint::Endpoint,
    groups::{Groups, OFFSETS_TOPIC, check_group_defaults},
    limits::segment_files_max,
    listener::{self, OpenConnections, RequestMemory},
    log_limit::LogLimits,
    metadata::MetadataStore,
    node::Node,
    quotas::{Quotas, millis},
    security::{Authorizer, ListenerSecurity},
    share::{SHARE_STATE_TOPIC, Shares},
    storage::{CheckIntervals, Place, Storage, StorageOpenError, Upkeep},
    transactions::{TRANSACTIONS_TOPIC, Transactions},
};

/// How long a fetch session is safe from others that want its slot, as in Kafka.
const FETCH_SESSION_EVICTION_MS: i64 = 120_000;

/// Starts a broker, or gives up when `stop` resolves.
pub(crate) async fn start(builder: BrokerBuilder, stop: impl Future<Output = ()>) -> Result<Broker, StartError> {
    let place = builder.data_place()?;
    check_group_defaults(builder.settings.config())?;
    let listeners = listeners(&builder)?;
    let names: Vec<_> = listeners.iter().map(|endpoint| endpoint.name.clone()).collect();
    let security = names.iter().map(|name| ListenerSecurity::new(&builder.settings, name));
    let security = security.collect::<Result<Vec<_>, _>>()?;
    let authorizer = Authorizer::new(builder.settings.config())?;
    let listeners = bind(&builder, &listeners).await?;
    let config = builder.settings.config().clone();
    let endpoints = advertised(&config, &names, &listeners)?;
    let addresses = listeners.iter().map(|(_, address)| *address).collect();
    let runtime = tokio::runtime::Handle::current();
    let progress = Arc::new(OpenProgress::default());
    let watched = Arc::clone(&progress);
    let mut opening = tokio::task::spawn_blocking(move || {
        open(&builder, &place, Told { endpoints, security, authorizer }, runtime, &watched)
    });
    let (opened, stopped) = tokio::select! {
        opened = &mut opening => (opened, false),
        () = stop => {
            tracing::info!("told to stop while opening");
            progress.stop();
            (opening.await, true)
        }
    };
    let node = match opened {
        Ok(node) => Arc::new(node?),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    if stopped {
        // All was open before it could be stopped: it is closed as any broker is.
        let broker = Broker(Arc::new(Inner { node, addresses }));
        return match broker.shutdown().await {
            Ok(()) => Err(StartError::Stopped),
            Err(error) => Err(StartError::DataDirectory { problem: error.to_string() }),
        };
    }
    for (index, (listener, address)) in listeners.into_iter().enumerate() {
        let security = node.listeners.get(index).map(|listener| (listener.name.as_str(), listener.protocol));
        let (name, protocol) = security.unzip();
        tracing::info!(%address, name, protocol = ?protocol, "listening");
        node.tasks.spawn(listener::accept(Arc::clone(&node), listener, index));
    }
    node.tasks.spawn(Arc::clone(&node.groups).run_timers(node.stopping.clone()));
    node.tasks.spawn(Transactions::run_timers(Arc::clone(&node)));
    node.tasks.spawn(Shares::run_timers(Arc::clone(&node)));
    load_coordinators(&node);
    Ok(Broker(Arc::new(Inner { node, addresses })))
}

/// Where to listen: the setting `listeners` without those of Kafka's controller, and what the builder was told.
fn listeners(builder: &BrokerBuilder) -> Result<Vec<Endpoint>, StartError> {
    let config = builder.settings.config();
    let mut listeners: Vec<Endpoint> = Vec::new();
    for address in &config.listeners {
        let endpoint = parse(address)?;
        let is_controllers = |name: &String| name.trim().eq_ignore_ascii_case(&endpoint.name);
        if config.controller_listener_names.iter().any(is_controllers) {
            tracing::info!(name = endpoint.name, "not opened: this broker is its own controller");
        } else if listeners.iter().any(|other| other.name == endpoint.name && other.port == endpoint.port) {
            // Kafka lets a name stand twice for one port in both families of addresses; the same holds here.
            listeners.push(endpoint);
        } else if listeners.iter().any(|other| other.name == endpoint.name) {
            return Err(StartError::DuplicateListener { name: endpoint.name });
        } else {
            listeners.push(endpoint);
        }
    }
    for address in &builder.listen {
        listeners.push(parse(address)?);
    }
    if let Some(name) = &config.inter_broker_listener_name
        && !listeners.iter().any(|listener| listener.name.eq_ignore_ascii_case(name))
    {
        let reason = format!("{name} is none of the listeners");
        return Err(StartError::Security { setting: "inter.broker.listener.name".to_owned(), reason });
    }
    Ok(listeners)
}

async fn bind(builder: &BrokerBuilder, endpoints: &[Endpoint]) -> Result<Vec<(TcpListener, SocketAddr)>, StartError> {
    let config = builder.settings.config();
    let backlog = u32::try_from(config.socket_listen_backlog_size).unwrap_or(1);
    let mut listeners = Vec::new();
    for endpoint in endpoints {
        listeners.push(listener::bind(endpoint, backlog).await?);
    }
    Ok(listeners)
}

fn parse(address: &str) -> Result<Endpoint, StartError> {
    address.parse().map_err(|error: crate::endpoint::ParseEndpointError| StartError::InvalidAddress {
        address: address.to_owned(),
        reason: error.to_string(),
    })
}

/// What clients of each listener are told: what `advertised.listeners` says for its name, or else where it is bound.
fn advertised(
    config: &BrokerConfig,
    names: &[String],
    listeners: &[(TcpListener, SocketAddr)],
) -> Result<Vec<Endpoint>, StartError> {
    let mut told = Vec::new();
    for address in &config.advertised_listeners {
        let endpoint = parse(address)?;
        let is_controllers = |name: &String| name.trim().eq_ignore_ascii_case(&endpoint.name);
        if config.controller_listener_names.iter().any(is_controllers) {
            continue;
        }
        if !names.contains(&endpoint.name) {
            return Err(StartError::AdvertisedListener { name: endpoint.name });
        }
        told.push(endpoint);
    }
    let endpoints = names.iter().zip(listeners).map(|(name, (_, bound))| {
        // Of several listeners of one name, each takes the next address of that name.
        let position = told.iter().position(|endpoint| endpoint.name == *name);
        let Some(mut endpoint) = position.map(|position| told.remove(position)) else {
            if bound.ip().is_unspecified() {
                tracing::warn!(
                    %bound,
                    "clients are told to connect to the loopback address; set advertised.listeners for those on other hosts",
                );
            }
            return as_bound(name, *bound);
        };
        if endpoint.port == 0 {
            endpoint.port = bound.port();
        }
        endpoint
    });
    Ok(endpoints.collect())
}

/// The address of a listener for clients on this host.
fn as_bound(name: &str, bound: SocketAddr) -> Endpoint {
    // "All addresses" is none that a client could connect to. The loopback is right for clients on this host;
    // others need advertised.listeners.
    let host = match bound.ip() {
        ip if ip.is_unspecified() && bound.is_ipv4() => "127.0.0.1".to_owned(),
        ip if ip.is_unspecified() => "::1".to_owned(),
        ip => ip.to_string(),
    };
    Endpoint { name: name.to_owned(), host, port: bound.port() }
}

/// The listeners as clients are told of them, and what they ask of clients.
struct Told {
    endpoints: Vec<Endpoint>,
    security: Vec<Arc<ListenerSecurity>>,
    authorizer: Arc<Authorizer>,
}

/// Opens the data directory and all that is in it. Blocks on the disk.
fn open(
    builder: &BrokerBuilder,
    place: &DataPlace,
    told: Told,
    runtime: tokio::runtime::Handle,
    progress: &OpenProgress,
) -> Result<Node, StartError> {
    let settings = builder.settings.clone();
    let config = settings.config().clone();
    let id = NodeId(config.node_id);
    let fresh = DirectoryIdentity {
        cluster_id: Uuid::from_random(rand::random()).to_string(),
        node_id: id,
        directory_id: Uuid::from_random(rand::random()),
    };
    let directory = match place {
        DataPlace::Memory => None,
        DataPlace::Folder(folder) => Some(LogDirectory::open(folder, fresh.clone()).map_err(StorageOpenError::from)?),
    };
    let in_memory = directory.is_none();
    let identity = directory.as_ref().map_or(fresh, |directory| directory.identity().clone());
    let memory: Arc<dyn Vfs> = Arc::new(SimulatedVfs::in_memory());
    let vfs: Arc<dyn Vfs> = match &builder.vfs {
        _ if in_memory => Arc::clone(&memory),
        Some(vfs) => Arc::clone(vfs),
        None => Arc::new(BoundedVfs::new(Arc::new(OsVfs), segment_files_max())),
    };
    let state = StateBudget::new(usize::try_from(config.riverrun_state_max_bytes).unwrap_or(usize::MAX));
    let place = Place {
        vfs,
        memory,
        root: directory.as_ref().map_or("/memory".into(), |directory| directory.path().to_owned()),
        directory_id: identity.directory_id,
        was_clean: directory.as_ref().is_none_or(LogDirectory::was_clean),
        producers_max: usize::try_from(config.riverrun_producers_per_partition_max).unwrap_or(PRODUCERS_MAX),
        state: Arc::clone(&state),
    };
    let cluster_id = identity.cluster_id;
    let clock = Clock::start();
    let log_defaults = config.log_defaults(in_memory);
    let upkeep = Upkeep {
        intervals: CheckIntervals {
            retention: millis(config.log_retention_check_interval_ms),
            producers: millis(i64::from(config.producer_id_expiration_check_interval_ms)),
        },
        tail_bytes_max: usize::try_from(config.riverrun_tail_cache_bytes).unwrap_or(0),
    };
    let storage = Storage::open(place, directory, log_defaults.clone(), upkeep, clock)?;
    let metadata = MetadataStore::load(Arc::clone(storage.metadata()), Arc::clone(&state));
    let metadata = Arc::new(metadata.map_err(|error| StartError::Metadata { problem: error.to_string() })?);
    let slots = usize::try_from(config.max_incremental_fetch_session_cache_slots).unwrap_or(0);
    let fetch_sessions = FetchSessions::new(slots, FETCH_SESSION_EVICTION_MS, Arc::clone(&state));
    let quotas = Arc::new(Quotas::new(&config, clock));
    quotas.apply(&metadata.image());
    let request_memory = Arc::new(RequestMemory::new(config.queued_max_request_bytes));
    let log_limits = LogLimits::new(i64::from(config.riverrun_log_client_interval_ms));
    let node = Node {
        id,
        cluster_id,
        clock,
        groups: Arc::new(Groups::new(&config, clock, Arc::clone(&metadata), Arc::clone(&state))),
        group_configs: Arc::default(),
        transactions: Transactions::new(&config, Arc::clone(&state)),
        shares: Shares::new(&config, Arc::clone(&state)),
        state,
        settings,
        start_config: config,
        in_memory,
        storage,
        metadata,
        connections: OpenConnections::default(),
        fetch_sessions,
        quotas,
        request_memory,
        log_limits,
        endpoints: told.endpoints,
        listeners: told.security,
        authorizer: told.authorizer,
        producer_ids: Mutex::default(),
        log_defaults: RwLock::new(Arc::new(log_defaults)),
        stopping: CancellationToken::new(),
        runtime,
        tasks: TaskTracker::new(),
    };
    write_feature_level(&node)?;
    node.apply_configs();
    open_topics(&node, progress)?;
    if node.start_config.log_cleaner_enable {
        node.storage.start_cleaner()?;
    }
    Ok(node)
}

/// A new metadata log begins with the version of its records, as Kafka's does.
fn write_feature_level(node: &Node) -> Result<(), StartError> {
    let (name, level) = (METADATA_VERSION.name, METADATA_VERSION.max);
    let written = node.metadata.change(
        |image| {
            let record = FeatureLevelRecord { name: name.to_owned(), feature_level: level };
            let is_there = image.features().contains_key(name);
            Ok::<_, std::convert::Infallible>((
                if is_there { Vec::new() } else { vec![MetadataRecord::FeatureLevel(record)] },
                (),
            ))
        },
        |_, ()| Ok(()),
    );
    written.map(drop).map_err(|error| StartError::Metadata { problem: error.to_string() })
}

fn open_topics(node: &Node, progress: &OpenProgress) -> Result<(), StartError> {
    let image = node.image();
    let is_known = |folder: &str| {
        folder.rsplit_once('-').is_some_and(|(topic, index)| {
            topic == crate::storage::METADATA_TOPIC
                || index.parse().is_ok_and(|index| image.partition(topic, index).is_some())
        })
    };
    let folders = node.storage.set_strays_aside(is_known).map_err(|error| StartError::DataDirectory {
        problem: format!("cannot list or rename in {}: {error}", node.storage.path().display()),
    })?;
    let topics: Vec<_> = image.topics().map(|topic| node.topic_logs(&image, topic, 0)).collect();
    node.storage.open_topics(&topics, &folders, progress)?;
    // What is gone since they were written, a topic or a folder that was moved away, must not be missed the next time.
    node.storage.write_checkpoints().map_err(|error| StartError::DataDirectory { problem: error.to_string() })?;
    Ok(())
}

/// Reads groups and transactions in, in the background: until then they are answered "loading". The groups come first,
/// as the ends of transactions may concern them.
fn load_coordinators(node: &Arc<Node>) {
    let image = node.image();
    let partitions = |topic| image.topic(topic).map(|topic| node.storage.partitions(topic.id));
    let groups = partitions(OFFSETS_TOPIC).map(|partitions| node.groups.open(partitions)).unwrap_or_default();
    let transactions = partitions(TRANSACTIONS_TOPIC).map(|partitions| node.transactions.open(partitions));
    let shares = partitions(SHARE_STATE_TOPIC).map(|partitions| node.shares.open(partitions)).unwrap_or_default();
    let loading = Arc::clone(node);
    node.tasks.spawn_blocking(move || {
        loading.groups.load(&groups);
        loading.transactions.load(&loading, &transactions.unwrap_or_default());
        loading.shares.load(&shares);
    });
}
