//! In:     what each kind of target answers.
//! Out:    one answer, whose body comes in pieces wherever it is from, compressed where that is wanted.
//! Actors: the task of the request.
//! Never:  is a body held whole because its source could not be waited for.

use crate::handlers::app::ResponseStream;
use crate::handlers::files::Pieces;
use crate::handlers::pool::{Tunnel, UpstreamStream};
use crate::journey::compress::Packer;
use hallway_core::Fault;
use hallway_core::semantics::AnswerHead;
use hallway_net::body::piece::Piece;

/// What a target answered.
pub(crate) struct Answer {
    pub(crate) head: AnswerHead,
    pub(crate) body: Body,
}

impl Answer {
    /// An answer that is here as a whole.
    pub(crate) fn whole(mut head: AnswerHead, body: Vec<u8>) -> Answer {
        head.length = Some(body.len() as u64);
        Answer { head, body: Body::from(Source::Whole(body.into())) }
    }
}

/// The body of an answer, in pieces as they come.
pub(crate) struct Body {
    source: Source,
    packer: Option<Packer>,
}

/// Where a body is from.
pub(crate) enum Source {
    /// All of it is here.
    Whole(Piece),
    /// It comes from a server.
    Upstream(Box<UpstreamStream>),
    /// There is none: another protocol follows.
    Tunnel(Box<Tunnel>),
    /// It comes from a worker.
    Lane(ResponseStream),
    /// All of it is here, or in files.
    Pieces(Pieces),
}

impl From<Source> for Body {
    fn from(source: Source) -> Body {
        Body { source, packer: None }
    }
}

impl Body {
    /// Compresses what comes.
    pub(crate) fn pack(&mut self, packer: Packer) {
        self.packer = Some(packer);
    }

    /// The server that answers, where one does.
    pub(crate) fn upstream(&mut self) -> Option<&mut UpstreamStream> {
        match &mut self.source {
            Source::Upstream(stream) => Some(stream),
            _ => None,
        }
    }

    /// The server that speaks another protocol from now on, where one does.
    pub(crate) fn tunnel(&mut self) -> Option<&mut Tunnel> {
        match &mut self.source {
            Source::Tunnel(tunnel) => Some(tunnel),
            _ => None,
        }
    }

    /// The next piece, and whether it is the last.
    pub(crate) async fn next(&mut self) -> Result<(Piece, bool), Fault> {
        loop {
            let unpacked = match self.packer.as_mut().and_then(Packer::waiting) {
                Some(waiting) => waiting,
                None => self.source.next().await?,
            };
            let Some(packer) = &mut self.packer else { return Ok(unpacked) };
            let (piece, last) = packer.pack(unpacked).await?;
            if last || !piece.is_empty() {
                return Ok((piece, last));
            }
        }
    }
}

impl Source {
    async fn next(&mut self) -> Result<(Piece, bool), Fault> {
        match self {
            Source::Upstream(stream) => stream.next().await,
            Source::Tunnel(_) => Ok((Piece::default(), true)),
            Source::Whole(piece) => Ok((std::mem::take(piece), true)),
            Source::Lane(stream) => stream.next().await,
            Source::Pieces(pieces) => Ok(pieces.next()),
        }
    }
}
