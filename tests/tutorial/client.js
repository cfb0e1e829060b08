var args = process.argv.slice(2);
console.log(args);
var amqp = require('amqplib');
for (var i = 0; i < args[0]; i++) {
       var key = 'temperature';
       amqp.connect('amqp://guest:guest@172.16.15.52:5672').then(function(conn) {
       return conn.createChannel().then(function(ch) {
           var ex = 'iot/sensors';
           var ok = ch.assertExchange(ex, 'topic', {durable: false});
           return ok.then(function() {
                var message = Math.floor(Math.random()*20);
               ch.publish(ex, key, Buffer.from(message.toString()));
               console.log(" [x] Sent %s:'%s'", key, message.toString());
               return ch.close();
           });
       }).finally(function() { conn.close();  })
       }).catch(console.log);
}
