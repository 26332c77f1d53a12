"""sms_demo: a generated English SMS spam set, so that a first run needs no download.

Words alone must not give the label away, or every method would look perfect. So prizes, codes, fees
and links fill both classes, and some messages turn on who asks whom for what, in the same words:
check before you pay (ham) or pay before you check (spam); "we never ask for your PIN" (ham) or
"thieves never ask for your PIN" (spam); ham that quotes spam, spam that opens with small talk.

Every number is from a range reserved for fiction, every domain from RFC 2606, every firm invented.
"""

import re
from random import Random

Rules = dict[str, list[str]]


def demo_messages() -> list[tuple[str, str]]:
    """The 2,400 (label, text) pairs, half of them spam, shuffled; the same on every machine."""
    rng = Random(20240607)
    rules = _parse(GRAMMAR)
    seen: set[str] = set()
    messages = []
    for label_and_register, families in _parse(MIX).items():
        label, register = label_and_register.split()
        for symbol, count in (family.split() for family in families):
            for _ in range(int(count)):
                text = _fresh_message(symbol, SLOPPY_SHARE[register], rules, rng, seen)
                messages.append((label, text))
    return sorted(messages, key=lambda _: rng.random())


def _fresh_message(symbol: str, sloppy: float, rules: Rules, rng: Random, seen: set[str]) -> str:
    """A message that differs from all `seen` ones by more than digits and case."""
    while True:
        text = " ".join(_expand(symbol, rules, rng).split())
        text = _text_speak(text, rng) if rng.random() < sloppy else _capitalised(text)
        key = re.sub(r"\d", "", text).lower()
        if len(text) <= 300 and key not in seen:
            seen.add(key)
            return text


def _parse(table: str) -> Rules:
    """Read rules of the form `symbol: choice | choice;`."""
    rows = (rule.split(":", 1) for rule in table.split(";")[:-1])
    return {
        symbol.strip(): [" ".join(choice.split()) for choice in choices.split("|")]
        for symbol, choices in rows
    }


def _expand(symbol: str, rules: Rules, rng: Random) -> str:
    # Python promises the same sequence across versions for random() only, not for choice().
    choice = rules[symbol][int(rng.random() * len(rules[symbol]))]
    return re.sub(r"\{(\w+)\}", lambda slot: _expand(slot[1], rules, rng), choice)


def _capitalised(text: str) -> str:
    # A word with an inner dot or slash is a link and keeps its case.
    return re.sub(r"(^|[.!?] )([a-z])(?!\S*[./]\w)", lambda m: m[1] + m[2].upper(), text)


def _text_speak(text: str, rng: Random) -> str:
    """Lower case, shorthand and the odd slip; links and numbers stay intact."""
    shorthand = dict(pair.split("=") for pair in SHORTHAND.split())
    words = []
    for word in text.lower().split():
        core = word.rstrip(".,!?")
        if not re.search(r"[\d./]", core):
            if core in shorthand and rng.random() < 0.6:
                word = shorthand[core] + word[len(core) :]
            elif len(core) > 4 and rng.random() < 0.03:
                at = 1 + int(rng.random() * (len(core) - 2))
                word = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        words.append(word)
    return " ".join(words).rstrip(".")


SHORTHAND = """
you=u your=ur are=r see=c great=gr8 later=l8r tonight=2nite tomorrow=2moro please=pls thanks=thx
to=2 for=4 before=b4 want=wanna with=wiv text=txt about=bout it's=its i'm=im don't=dont can't=cant
and=n what=wot why=y because=cos love=luv back=bk
"""

# How many messages of each family, and how often its writers fall into text-speak.
SLOPPY_SHARE = {"chatty": 0.5, "formal": 0.1}
MIX = """
ham chatty: short 70 | small_talk 350 | plan 240 | favour 180 | ramble 60 | quoted_spam 25
  | known_caller 40;
ham formal: notice 195 | careful 28 | honest_secret 12;
spam chatty: wrapped_pitch 60 | false_kin 60 | lonely 80 | invest 140;
spam formal: prize 200 | loan 95 | phish 280 | offer 195 | appeal 50 | careless 28
  | false_secret 12;
"""

# Ham families, then spam families, then the words that both share.
GRAMMAR = """
short: {ack}{end} | {ack} {name} | {ack} {bye} | {query}? | {query}? {name}; ack: ok|no|yep|nope|
  lol|sure|maybe|done|fine|yes {day}|on it|omw|deal|not yet|{time}|{place}|good luck; query: where
  are you|you free|who won|how much|you up|home yet;
small_talk: {hello} {chat}{end} {bye} | {hello} {chat}. {ask}? | {ask}? {bye} | {chat}, {chat} {bye}
  | {react}, {chat}{end} | {hello} {loaded}{end} {bye} | {loaded}, {ask}?; chat: {who} {did} | the
  {thing} {state} | {event} was {mood} | {event} is off, {who} {did} | it's {mood} at {place} | back
  from {place}, {mood} | my {thing} {state} so I'm at {place} | {who} says {event} is {day} now |
  why did the {thing} cross the road? lol; did: left the {thing} at {place} | broke the {thing} |
  forgot {event} | slept through {event} | burnt the {food} | wants the {thing} back | cried at
  {event} | ate all the {food}; state: broke again|works now|smells funny|is brand new; mood: total
  chaos|lovely|so good|freezing|too loud|worth it; react: omg|no way|haha brilliant|oh no|aww|good
  news; ask: are you free {day} | who saw {who} at {event} | shall we get {food} | fancy {food}
  {day} | are you at {event} or not | did we win; loaded: I won {amt} on the raffle at {event} | won
  the quiz, prize was a {thing} | urgent, we have no {food} left | {who} got the job offer | my loan
  came so rent is paid | the gym closed my account at last | still waiting on my insurance claim for
  the {thing} | free {food} at {place} till {time} | {name} and {name} were selected | they picked
  {name} for the team, no risk of a win | got a {amt} voucher from {kin} | look at this {thing}
  {link} | tickets are {amt} here {link} | photos from {event} are at {link} | out of credit, text
  me on {phone} | never call {premium}, it's {fee} a minute | the flat is {big} a year, only an hour
  to say yes | {who} got two weeks in the sun;
plan: {hello} how about {day} {time}, {place}? | {meet} at {place} {time}{end} {bye} | start {event}
  without me, I get to {place} {time} {bye} | {who} and me are at {place} till {time}, join us | can
  we do {day} instead, {who} {did} | {event} {day}, {time} sharp {bye} | map is {link}, see you
  {time} | {name} moved the meeting to {clock} {day}, {react} | reply by {time} if you want a seat
  for {event} | text {name} on {phone} if I'm late {bye}; meet: see you|shall we meet|I'll be|pick
  me up;
favour: {hello} can you send me the {amt} for {debt}? {bye} | I sent {amt} to your account for
  {debt} {bye} | did you pay {name} the {amt} for {debt}? | you owe me {amt} for {debt} | what is
  the code for {place}? {who} {did} | lend me {amt} till {day}? {who} {did} {bye} | {name} is in for
  an op {day}, can you add your name to the card | can I borrow the {thing}? mine {state} | {who} is
  doing a run for the hospice, give what you like {link} {bye} | vote for {name} in the bake off
  {link} {bye}; debt: the {food}|{event}|petrol|{name}'s present|the taxi|our tickets; ramble:
  {hello} so {chat}, {chat}, and {loaded}. {ask}? {bye} | long story but {chat}. {who} {did},
  {chat}, anyway {ask}? {bye};
notice: {carrier}: {parcel} {status}. {parcel_ok}. | {bank}: {ref}{d}{d} is your code to {act}.
  {bank_ok}. | {bank}: {payment}. {bank_ok}. | {bank}: {bank_info}. | {clinic}: your {visit} is
  {day} at {clock}. {visit_ok}. | {firm}: {bill}, {bill_ok}. | {school}: {school_info}.; parcel_ok:
  track it at {link} | the sender has paid the {fee} charge | no fee is due | we left it with {name}
  next door | no need to reply | change the day at {link}; bank_ok: if this was not you, call the
  number on your card | tell nobody your code, not even us | see it in your app; bank_info: your
  balance was {amt} {past} | {amt} from {firm} is in your account | the new card is on its way, the
  old one works till {day}; visit_ok: reply 1 to confirm or 2 to cancel | can't come? call {phone} |
  forms are at {link}; bill_ok: it leaves your account {day} | you are {amt} in credit so nothing is
  due | the refund of {amt} is back on the card you used; school_info: {event} moved to {day}
  {clock} | {name} won a class prize | trip is {amt}, cash or card at the desk | lost {thing} found,
  claim it at the office;
quoted_spam: {spam_line} {doubt} | {kin} got this: {spam_line} {doubt} | {hello} look what came
  {past}: {spam_line} | {spam_line} - {doubt} {bye} | {doubt}: {spam_line}; doubt: as if | is this
  real? | who falls for this | third one this week | I binned it | nan nearly believed it | nice
  try;
known_caller: {new_phone} {kin_ok} {bye} | {new_phone} {kin_ok}. {chat} {bye}; kin_ok: ring me so
  you can hear it's me | pick me up from {place} at {time} | will pay you the {amt} I owe you {day}
  | do not send to the old one | bring my {thing} to {place};
careful: {lead} {check_first}. {close}; check_first: {safe} before you {risk} | only {risk} after
  you {safe} | do not {risk}, {safe} | no need to {risk}, you need to {safe} | {safe}, do not {risk}
  | do not {risk} until you {safe}; honest_secret: {org}: {us} never ask for {secret} {channel}.
  {close} | {org}: {crooks} ask for {secret} {channel}. {close};
prize: {yay} {you_won} {reward}. {redeem} | {you_won} {reward}{end} {redeem} | {firm}: {you_won}
  {reward}, {redeem} | {name}, {reward} is waiting. {redeem} {until}; yay: Congratulations!|WINNER!|
  good news {name}.|last chance!|final notice:; until: ends {day}|before {time} {day}|today only;
  you_won: you won|your number was picked for|you were selected for|we owe you; reward: a {big}
  prize|{amt} of vouchers for {shop}|a free {thing}|two weeks in the sun|{big} cash|a {thing} worth
  {amt}; redeem: claim at {link} | call {premium} to claim | text WIN to {phone} | reply YES to
  claim | send your name and bank to {phone} | see {link} and pick your {thing};
loan: {firm}: {cash_in} {lent}, {no_check}. {borrow} | {name}, {no_check}! {cash_in} {lent}.
  {borrow} | behind on rent? {no_check}. {borrow}; cash_in: need|get|borrow|you are approved for;
  lent: up to {big}|{big} till {day}|a {big} loan; no_check: no credit check|bad credit is fine|no
  forms|we clear what you owe; borrow: apply at {link}|reply LOAN|call {premium}|text your name to
  {phone}|{fee} fee first, see {link};
phish: {carrier}: {parcel} {status}. {parcel_bad}. | {bank}: {payment}. {bank_bad}. | {bank}:
  {bank_scare}. {bank_bad}. | {firm}: {bill}, {bill_bad}. | {clinic}: your {visit} is {day} at
  {clock}. {visit_bad}.; parcel_bad: the sender has not paid the {fee} charge, see {link} | confirm
  a card in your name at {link} | pay {fee} at {link} or it goes back | no fee, no parcel, pay
  {phone}; bank_scare: your account is locked | your card stops working {day} | code {ref}{d}{d} was
  sent, read it to us when we call; bank_bad: if this was not you, go to {link} | not you? call
  {phone} to stop it | reply with the code we sent | move your balance to the safe account we text
  you | log in at {link} in {n} minutes | {name} will ring from {phone}, share the code with them;
  visit_bad: pay {fee} at {link} to keep it | it's free if your card is at {link}; bill_bad: pay at
  {link} {day} or be cut off | a refund of {amt} is due, add your card at {link} | you were
  overcharged {amt}, claim it at {link};
offer: {job} | {sub} | {job} {until} | {yay} {sub} | {hello} {job} | {shop}: {sub}; job: earn {amt}
  a day from home, no experience, text {phone} | we saw your CV, {amt} a shift, reply YES {bye} |
  like videos at {place} for {amt} an hour, {link} | {name} from HR here, your {thing} kit is {fee},
  start {day} {link} | mystery shoppers for {shop}, {link}; sub: your free trial is now {fee} a
  week, text STOP to {premium} | daily {food} tips, {fee} a msg, reply GO | your horoscope for {day}
  is ready, {fee} {link} | {shop} {thing} sale, {n}0% off with code {ref} {link} | had an accident?
  claim {big}, call {premium};
invest: {hello} {gain}, {join} | {gain}. {join} {until} | {name}, {gain}. {join}; gain: {amt} became
  {big} in {n} days | our coin doubles {day} | crypto wallet {ref} holds {big} for you | the bot
  made {amt} while I was at {event} | {firm} pays {n}% a day; join: join at {link} | message {phone}
  | start with {amt} at {link} | bring {amt} to begin | ask me how;
lonely: {hello} I saw your photo and {shy}. {write_me} | is this {name}? {shy}. {write_me} | someone
  at {event} fancies you! {write_me}; shy: you seem kind|I never do this|I am new at {place}|I like
  {food} and long walks; write_me: text {premium} to see who | write to me at {link} | my pics are
  at {link} | add {phone} | could you send {amt} for my ticket;
appeal: {cause} {give} | {firm}: {cause} {give} | {cause} {give} {bye}; cause: the children have no
  {food}.|{name} is {n} and needs help.|the shelter at {place} closes {day}.; give: every {amt} sent
  to {phone} is doubled | card only at {link} | reply and I will wire your share | {fee} a text to
  {premium};
wrapped_pitch: {hello} {chat}, {chat}. {pitch} {bye} | {react}, {loaded}. {pitch} {bye} | {chat}.
  {pitch} {bye}; pitch: {name} showed me how to make {amt} a day, want in? | my cousin trades coins,
  send {amt} and see | look at this, I joined and got {amt} {link} | put in {amt}, get {big} {day} |
  vote for me, it just needs your card {link} | can I have the code you got, my mistake;
false_kin: {new_phone} {kin_bad} {bye} | {new_phone} {kin_bad}. {chat} {bye}; kin_bad: can't ring,
  can you pay {amt} for me | need {amt} {day}, will pay you back | do not ring the old one, send me
  {amt} | send me the code you get | stuck at {place}, police want {amt}, don't tell dad | my bank
  is locked, can I use yours {day};
careless: {lead} {pay_first}. {close}; pay_first: {risk} before you {safe} | only {safe} after you
  {risk} | do not {safe}, {risk} | no need to {safe}, you need to {risk} | {risk}, do not {safe} |
  do not {safe} until you {risk}; false_secret: {org}: {crooks} never ask for {secret} {channel}.
  {close} | {org}: {us} ask for {secret} {channel}. {close};
spam_line: {yay} {you_won} {reward}. {redeem} | {bank}: {bank_scare}. {bank_bad} | {cash_in} {lent},
  {no_check}. {borrow} | {carrier}: {parcel} {status}. {parcel_bad} | {gain}. {join} | {job};
  new_phone: hi {kin} it's me, {excuse}, this is my new number. | it's your favourite child,
  {excuse}. | new number, {excuse}, {kin}. | {kin} {excuse}, text me on this number.; excuse: my
  phone broke|dropped my phone at {place}|{who} sat on my phone|my phone fell in the {food};
lead: {org}:|hi it's {name},|about the {thing}:|{kin},|re {event}:|ref {ref}:; safe: ring your
  branch|ask your dad|read the letter|check with the shop|talk to {name}|see the room|look up the
  number|get a receipt|tell {kin}; risk: send the money|pay the deposit|share the code|open the
  link|type in your card|move your savings|send {amt}|buy the vouchers|give your PIN; close: thanks|
  ref {ref}|from {name}|ok?|{bye}|by {time} {day}; us: we|our staff|our advisers; crooks: thieves|
  scammers|fraudsters; secret: your PIN|your code|your password|your card number; channel: by text|
  on a call|at the door|over the phone;
org: {bank}|{firm}|{carrier}|{school}; bank: Brindlow Bank|Tamsel Bank|your bank|Hobbsley Card;
  firm: Plimsett Mobile|Drovewick Energy|the tax office|your council|{shop}; shop: Wexlow Foods|
  Pobbins|Tillo Toys; carrier: Larkpost|Quickvarn|your courier|{shop}; clinic: Hobbsley Dental|
  Fennick Surgery; school: Drovewick School|Plimsett College;
parcel: your parcel is|parcel {ref} is|your {thing} is|the {thing} from {shop} is|order {ref} is;
  status: due {day}|on the van|held at {place}|waiting for you|here since {past}|running late|due
  {day} at {clock}; payment: {amt} to {name} is on its way|card used at {shop} for {amt}|new payee
  {name} added {past}|new log in at {clock} from {place}; act: log in|pay {amt} to {shop}; bill:
  your bill of {amt} is due {day}|your contract ends {day}; visit: check-up|eye test|appointment
  with {name};
hello: | |hey|hi|hiya {name}|{name}|hi {name}|morning|hello|heya {name}|ok so; bye: | |x|xx|:)|lol|
  haha|cheers|thanks|speak later|let me know|love you|see you soon|ta {name}; end: | |!|!!|..|...;
  kin: mum|dad|nan|gran|sis|bro|auntie {name}|uncle {name}; who: {name}|my sister|the neighbour|dad|
  mum|the boss|{name} next door|{name} from work|my flatmate; name: Sam|Priya|Tom|Aisha|Jo|Mel|Kofi|
  Lena|Raj|Nina|Dave|Ella|Omar|Beth|Yusuf|Liam|Zoe;
thing: keyring|laptop|car|kettle|boiler|bike|printer|charger|tent|brolly|ladder|coat|wallet|guitar|
  sofa|watch; place: the station|the pub|the library|the bus stop|the gym|the office|the park|the
  bakery|the airport|the market|the hall|the museum; event: the gig|dinner|football|the wedding|the
  meeting|choir|the match|the exam|yoga|book club|the fair; food: curry|soup|lasagne|cake|rice|
  pizza|salad;
day: today|tomorrow|tonight|Monday|Tuesday|Wed|Thursday|Fri|Saturday|Sunday|this week; past: today|
  yesterday|Monday|last week; time: {n}pm|{n}:30|half {n}|noon|{n}.15|{n}ish; clock: 1{d}:30|
  1{d}:15|{n}pm; amt: £{n}0|£{n}5|{n}0 quid|£1{d}0|{n}5 pounds|£2{d}0; big: £{n}000|£{n},{d}00|
  £{n}0k|{n}k|£{n}00; fee: £{n}.99|£1.{n}9|£2.{n}5|{n}9p; ref: {n}{d}{n}{d}; d: 0|1|2|3|4|5|6|7|8|9;
  n: 1|2|3|4|5|6|7|8|9;
link: http://{site}.example/{slug}|{site}.example.com/{slug}|{site}.example.org|
  {site}.invalid/{slug}|example.net/{slug}{d}; site: go|my-page|quick|news|track|help|shop|pics;
  slug: a{d}{n}|k{n}x|{ref}|see{d}|now|list; phone: 07700 900{d}{d}{d}|07700900{d}{d}{d}|+44 7700
  900{d}{d}{d}|03069 990{d}{d}{d}|08081 570{d}{d}{d}; premium: 0909 8790{d}{d}{d}|{phone};
"""
