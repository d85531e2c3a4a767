//! HTTP/1.1 on one connection.
//!
//! Responsible for its requests, one after the other, pipelined or not. Promises that one that cannot be read is told
//! so in JSON, and that nothing behind it is read.

use std::{convert::Infallible, pin::Pin, sync::Arc};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    activity::{Activity, Phase},
    connection::{Client, End, Life},
    farewell,
    watched::Watched,
};
use crate::{
    rejection::{Code, Rejection},
    router,
};

/// What a connection may hold before a request is admitted: its head, and a first piece of its body.
const BUFFER_BYTES_MAX: usize = 128 << 10;

/// Serves requests from `io` to the end of the connection.
pub(super) async fn serve<I>(life: Life<'_>, client: &Client, io: I)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let gateway = life.gateway;
    let activity = Arc::new(Activity::new());
    let service = service_fn(|request| {
        // From the call on, not from the first poll: hyper may read in between.
        let serving = activity.serve();
        async move {
            let _serving = serving;
            Ok::<_, Infallible>(router::serve(gateway, client, request).await)
        }
    });
    let io = TokioIo::new(Watched::new(io, activity.clone()));
    let mut connection = http1::Builder::new().max_buf_size(BUFFER_BYTES_MAX).serve_connection(io, service);
    let end = life.live(&activity, Pin::new(&mut connection)).await;
    let (io, rejection) = connection.into_parts().io.into_inner().into_parts();
    // What a client does wrong otherwise on its own connection is answered by hyper and concerns nobody else.
    let rejection = match end {
        End::Overdue(Phase::Head) => Some(too_slow()),
        End::Overdue(_) => None,
        End::Closed | End::Failed(_) => rejection,
    };
    if let Some(rejection) = rejection {
        farewell::refuse(gateway, io, rejection).await;
    }
}

pub(super) fn too_slow() -> Rejection {
    Rejection::new(Code::HeadTimeout, "the head took too long: send the request again, faster")
}
