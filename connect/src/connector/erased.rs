//! The connector traits without their types, for the runtime: one virtual call per batch.

use std::marker::PhantomData;

use futures::future::BoxFuture;
use riverrun_core::TopicPartition;

use super::{Sink, SinkContext, Source, SourceContext, TaskError};
use crate::{
    config::{ConfigErrors, Configuration, Properties},
    record::{SinkRecord, SourcePartition, SourcePosition, SourceRecord},
};

/// A started source task.
pub(crate) trait SourceTask: Send {
    fn poll(&mut self) -> BoxFuture<'_, Result<Vec<SourceRecord>, TaskError>>;
    fn commit<'a>(&'a mut self, stored: &'a [SourcePosition]) -> BoxFuture<'a, Result<(), TaskError>>;
    fn finished(&mut self) -> Vec<SourcePartition>;
    fn stop(self: Box<Self>) -> BoxFuture<'static, Result<(), TaskError>>;
}

impl<S: Source> SourceTask for S {
    fn poll(&mut self) -> BoxFuture<'_, Result<Vec<SourceRecord>, TaskError>> {
        Box::pin(Source::poll(self))
    }

    fn commit<'a>(&'a mut self, stored: &'a [SourcePosition]) -> BoxFuture<'a, Result<(), TaskError>> {
        Box::pin(Source::commit(self, stored))
    }

    fn finished(&mut self) -> Vec<SourcePartition> {
        Source::finished(self)
    }

    fn stop(self: Box<Self>) -> BoxFuture<'static, Result<(), TaskError>> {
        Box::pin(Source::stop(*self))
    }
}

/// A started sink task.
pub(crate) trait SinkTask: Send {
    fn put<'a>(&'a mut self, batch: &'a [SinkRecord]) -> BoxFuture<'a, Result<(), TaskError>>;
    fn flush(&mut self) -> BoxFuture<'_, Result<(), TaskError>>;
    fn revoked(&mut self, partitions: &[TopicPartition]);
    fn stop(self: Box<Self>) -> BoxFuture<'static, Result<(), TaskError>>;
}

impl<S: Sink> SinkTask for S {
    fn put<'a>(&'a mut self, batch: &'a [SinkRecord]) -> BoxFuture<'a, Result<(), TaskError>> {
        Box::pin(Sink::put(self, batch))
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<(), TaskError>> {
        Box::pin(Sink::flush(self))
    }

    fn revoked(&mut self, partitions: &[TopicPartition]) {
        Sink::revoked(self, partitions);
    }

    fn stop(self: Box<Self>) -> BoxFuture<'static, Result<(), TaskError>> {
        Box::pin(Sink::stop(*self))
    }
}

/// Makes source tasks.
pub(crate) trait SourceFactory: Send + Sync {
    fn task_configs(&self, properties: &Properties, tasks_max: usize) -> Result<Vec<Properties>, ConfigErrors>;
    fn start(
        &self,
        properties: &Properties,
        context: SourceContext,
    ) -> BoxFuture<'static, Result<Box<dyn SourceTask>, TaskError>>;
}

/// Makes sink tasks.
pub(crate) trait SinkFactory: Send + Sync {
    fn task_configs(&self, properties: &Properties, tasks_max: usize) -> Result<Vec<Properties>, ConfigErrors>;
    fn start(
        &self,
        properties: &Properties,
        context: SinkContext,
    ) -> BoxFuture<'static, Result<Box<dyn SinkTask>, TaskError>>;
}

/// The factory of a connector type.
pub(crate) struct Typed<C>(PhantomData<fn() -> C>);

impl<C> Typed<C> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<S: Source> SourceFactory for Typed<S> {
    fn task_configs(&self, properties: &Properties, tasks_max: usize) -> Result<Vec<Properties>, ConfigErrors> {
        S::task_configs(&S::Config::from_properties(properties)?, properties, tasks_max)
    }

    fn start(
        &self,
        properties: &Properties,
        context: SourceContext,
    ) -> BoxFuture<'static, Result<Box<dyn SourceTask>, TaskError>> {
        let config = S::Config::from_properties(properties);
        Box::pin(async move { Ok(Box::new(S::start(config?, context).await?) as Box<dyn SourceTask>) })
    }
}

impl<S: Sink> SinkFactory for Typed<S> {
    fn task_configs(&self, properties: &Properties, tasks_max: usize) -> Result<Vec<Properties>, ConfigErrors> {
        S::task_configs(&S::Config::from_properties(properties)?, properties, tasks_max)
    }

    fn start(
        &self,
        properties: &Properties,
        context: SinkContext,
    ) -> BoxFuture<'static, Result<Box<dyn SinkTask>, TaskError>> {
        let config = S::Config::from_properties(properties);
        Box::pin(async move { Ok(Box::new(S::start(config?, context).await?) as Box<dyn SinkTask>) })
    }
}
